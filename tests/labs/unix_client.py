"""Lab E: AF_UNIX: a path instead of an address and a port."""
import socket
import sys

sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
sock.connect(sys.argv[1])
sock.sendall(b"Hello there")
print(sock.recv(1024))
