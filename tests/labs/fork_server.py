"""Lab D, the first of three ways: a process for each client."""
import os
import signal
import socket
import sys

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
while True:
    client, address = listener.accept()
    if os.fork() == 0:
        listener.close()
        while text := client.recv(1024):
            client.sendall(text + b" from a process")
        os._exit(0)
    client.close()
