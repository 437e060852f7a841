"""Lab A: a chat client with select. Ends when the quit string is typed or received."""
import select
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)
while True:
    readable, _, _ = select.select([sys.stdin, sock], [], [])
    if sock in readable:
        text = sock.recv(1024).decode()
        if not text or "quit" in text:
            break
        print("heard:", text.strip(), flush=True)
    if sys.stdin in readable:
        line = sys.stdin.readline().strip()
        if not line or line == "quit":
            break
        sock.send(line.encode())
sock.close()
print("bye")
