"""Lab A, exercise 1: what is typed appears on everybody's screen; exit ends it."""
import socket
import sys
import threading

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.bind(("", 40000))
print("here", flush=True)


def show():
    while True:
        print(sock.recv(1000).decode(), flush=True)


threading.Thread(target=show, daemon=True).start()
for line in sys.stdin:
    if line.strip() == "exit":
        break
    sock.sendto(line.strip().encode(), ("<broadcast>", 40000))
