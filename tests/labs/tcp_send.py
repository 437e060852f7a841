"""Lab A, exercise 2: sends one message over TCP; asks for what it is not told."""
import socket
import sys

host = sys.argv[1] if len(sys.argv) > 1 else input("address? ")
port = int(sys.argv[2]) if len(sys.argv) > 2 else 40000
message = sys.argv[3] if len(sys.argv) > 3 else input("message? ")
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect((host, port))
s.send(message.encode())
s.close()
