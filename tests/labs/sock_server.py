"""Lab C: shows who connected and all that came, then ends."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("localhost", int(sys.argv[1])))
s.listen(1)
print("port", s.getsockname()[1], flush=True)
connection, address = s.accept()
print("Connected by", address[0])
chunks = []
while True:
    chunk = connection.recv(1024)
    if not chunk:
        break
    chunks.append(chunk)
print(b"".join(chunks))
connection.close()
