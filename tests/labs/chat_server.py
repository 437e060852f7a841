"""Lab A: a chat server with select. What comes from one client goes to all the others, as it is."""
import select
import socket
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
listener.listen(5)
print("port", listener.getsockname()[1])
clients = []
while True:
    readable, _, _ = select.select([listener] + clients, [], [])
    for sock in readable:
        if sock is listener:
            clients.append(sock.accept()[0])
            print("joined")
            continue
        text = sock.recv(1024)
        if not text:
            clients.remove(sock)
            sock.close()
            continue
        for other in clients:
            if other is not sock:
                other.sendall(text)
