"""Lab C: connects, says one thing, closes. Prints the port it had."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((sys.argv[1], int(sys.argv[2])))
print(s.getsockname()[1])
s.send(b"Hello, world")
s.close()
