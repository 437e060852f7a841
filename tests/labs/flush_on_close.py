"""Lab E: sends a lot and closes at once: what is queued still goes out. Nothing is lost by close()."""
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(b"x" * 1000000)
sock.close()
print("closed")
