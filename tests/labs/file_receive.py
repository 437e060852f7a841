"""Lab A, exercise 3: receives files, each on a connection of its own: a name, a line end, the content."""
import os
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
while True:
    client, address = listener.accept()
    data = b""
    while chunk := client.recv(4096):
        data += chunk
    client.close()
    name, line_end, content = data.partition(b"\n")
    name = "received-" + os.path.basename(name.decode())
    if not line_end or len(name) > 50:
        print("not stored:", data[:50], flush=True)
        continue
    with open(name, "wb") as file:
        file.write(content)
    print("stored", name, len(content), "bytes", flush=True)
