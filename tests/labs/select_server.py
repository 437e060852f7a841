"""Lab D, the third of three ways: one thread, non-blocking sockets, select."""
import select
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
sockets = [listener]
while True:
    for sock in select.select(sockets, [], [])[0]:
        if sock is listener:
            client, address = sock.accept()
            client.setblocking(False)
            sockets.append(client)
        elif text := sock.recv(1024):
            sock.send(text + b" from select")
        else:
            sockets.remove(sock)
            sock.close()
