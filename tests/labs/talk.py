"""Lab B: a chat of two: one thread sends what is typed, one prints what comes. talk.py PORT, or HOST PORT."""
import os
import socket
import sys
import threading

if len(sys.argv) == 2:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("waiting", flush=True)
    sock = listener.accept()[0]
else:
    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)


def show():
    while text := sock.recv(1024).decode():
        print("heard:", text.rstrip("\n"), flush=True)
    os._exit(0)


threading.Thread(target=show, daemon=True).start()
for line in sys.stdin:
    sock.sendall(line.encode())
sock.close()
