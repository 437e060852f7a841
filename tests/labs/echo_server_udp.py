"""Lab E, ex92: a UDP echo server."""
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
print("port", sock.getsockname()[1], flush=True)
while True:
    message, client = sock.recvfrom(65535)
    sock.sendto(message, client)
