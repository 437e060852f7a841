"""Lab C, exercise 1.1: a web client by hand; receives until empty, joins, prints."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(("GET %s HTTP/1.0\r\n\r\n" % sys.argv[3]).encode())
chunks = []
while True:
    chunk = s.recv(16384)
    if not chunk:
        break
    chunks.append(chunk)
s.close()
print(b"".join(chunks).decode())
