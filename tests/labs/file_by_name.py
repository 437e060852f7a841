"""Lab B: a message is a file name; the whole file comes back if it exists."""
import os
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
while True:
    client, address = listener.accept()
    name = os.path.basename(client.recv(1024).decode().strip())
    if os.path.isfile(name):
        client.sendall(open(name, "rb").read())
    else:
        client.sendall(b"error: no such file\n")
    client.close()
