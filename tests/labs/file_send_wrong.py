"""Lab A, exercise 3, the trap: two transmissions, and nothing says where the first one ends."""
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(b"story.txt")
sock.sendall(b"Once upon a time")
sock.shutdown(socket.SHUT_WR)
print(sock.recv(1024).decode(), end="")
