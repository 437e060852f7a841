"""Lab E, exercise 9-1 over TCP: asks for the time, shows it."""
import socket
import sys
import time

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for _ in range(3):
    sock.send(b"reqtime")
    answer = sock.recv(1024).decode()
    lag = abs(time.time() - time.mktime(time.strptime(answer, "%c")))
    print("server time:", answer, "close" if lag < 5 else "far")
sock.close()
