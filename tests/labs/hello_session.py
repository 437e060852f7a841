"""Lab C, what is typed by hand in the interpreter of the client."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((sys.argv[1], int(sys.argv[2])))
print(s.send(b"Hello World"))
print(s.recv(1024))
print(s.recv(1024))
print(s.recv(1024))
s.close()
