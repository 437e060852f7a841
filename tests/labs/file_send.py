"""Lab A, exercise 3: sends the name of a file, then its content (or a text that is given)."""
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
name = sys.argv[3]
content = sys.argv[4].encode() if len(sys.argv) > 4 else open(name, "rb").read()
sock.sendall(name.encode() + b"\n")
sock.sendall(content)
sock.shutdown(socket.SHUT_WR)
print("sent", len(content), "bytes;", "answer:", sock.recv(1024).decode().strip() or "none")
sock.close()
