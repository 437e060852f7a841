"""Lab B: a client that aborts: it gets an answer, then resets the connection instead of closing it."""
import socket
import struct
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(b"Hello")
print("received", sock.recv(1024))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
sock.close()
