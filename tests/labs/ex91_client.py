"""Lab E, ex91: a TCP echo client."""
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
try:
    sock.sendall(b"Hello, echo")
    print("received", sock.recv(1024))
finally:
    sock.close()
