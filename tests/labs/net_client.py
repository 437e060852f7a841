"""Lab B: sends messages one after the other, without a line end, and waits for each answer."""
import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.connect((host, port))
try:
    for number in range(1, 21):
        message = "message number %d" % number
        sock.sendall(message.encode())
        reply = sock.recv(1024).decode()
        print("sent", repr(message), "got", repr(reply))
finally:
    sock.close()
