"""Lab E, ex92: a UDP echo client."""
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
for message in (b"Hello there", b"", "na\u00efve".encode()):
    sock.sendto(message, (sys.argv[1], int(sys.argv[2])))
    print(repr(sock.recv(1024)))
