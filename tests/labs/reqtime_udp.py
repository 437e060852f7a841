"""Lab E, exercise 9-1 over UDP: asks for the time, shows it."""
import socket
import sys
import time

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
for _ in range(3):
    sock.sendto(b"reqtime", (sys.argv[1], int(sys.argv[2])))
    answer, server = sock.recvfrom(1024)
    time.strptime(answer.decode(), "%c")
    print("server", server[1], "says", answer.decode())
