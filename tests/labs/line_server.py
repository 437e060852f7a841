"""Lab A: a server with a file object: whole lines come, however they were sent."""
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
client, address = listener.accept()
file = client.makefile("rw", newline="\n")
for line in file:
    file.write("you said " + line)
    file.flush()
