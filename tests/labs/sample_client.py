"""Lab D, samples 1 to 4: create a socket, connect it, send a request, receive the reply."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
print("1 created")
s.connect((sys.argv[1], int(sys.argv[2])))
print("2 connected to", s.getpeername()[0])
s.sendall(b"GET / HTTP/1.0\r\n\r\n")
print("3 sent")
print("4", s.recv(4096).decode().splitlines()[0])
s.close()
