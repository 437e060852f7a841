"""Lab A: shows what is sent to everybody on the network. It has the port for itself."""
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 40000))
print("receiving", flush=True)
while True:
    print(sock.recv(1000).decode(), flush=True)
