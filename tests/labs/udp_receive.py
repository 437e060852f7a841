"""Lab A: shows the datagrams that come; exit ends it."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
print("port", s.getsockname()[1], flush=True)
message = ""
while message != "exit":
    message = s.recv(1000).decode()
    print("got", message, flush=True)
