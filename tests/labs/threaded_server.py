"""Lab B: a thread for each client, while the main thread accepts."""
import socket
import sys
import threading


def serve(client, address):
    with client:
        while text := client.recv(1024).decode():
            client.sendall(("Here's the data: " + text).encode())


listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=listener.accept(), daemon=True).start()
