"""Lab E, ex91: a TCP echo server."""
import socket
import sys

listener = socket.create_server(("", int(sys.argv[1])))
print("port", listener.getsockname()[1], flush=True)
while True:
    connection, address = listener.accept()
    try:
        while data := connection.recv(1024):
            connection.sendall(data)
    finally:
        connection.close()
