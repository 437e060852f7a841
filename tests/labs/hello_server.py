"""Lab C, what is typed by hand in the interpreter of the server."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(5)
print("port", s.getsockname()[1], flush=True)
client, address = s.accept()
print(client.recv(1024))
client.send(b"Hello Yourself")
print(client.recv(1024))
client.send(b"Goodbye")
client.close()
