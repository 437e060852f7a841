"""Lab B: asks for a file by its name, and receives until the end."""
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(sys.argv[3].encode())
data = b""
while chunk := sock.recv(1024):
    data += chunk
print(data.decode(), end="")
