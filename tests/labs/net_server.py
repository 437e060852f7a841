"""Lab B: one client at a time; each message comes back modified, until the client closes."""
import socket
import sys

modify = {
    "prefix": lambda text: "Here's the data: " + text,
    "length": lambda text: str(len(text)),
    "reverse": lambda text: text[::-1],
    "echo": lambda text: text,
}[sys.argv[2]]
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen(5)
print("port", listener.getsockname()[1], flush=True)
while True:
    client, address = listener.accept()
    try:
        while True:
            text = client.recv(1024).decode()
            if not text:
                break
            client.sendall(modify(text).encode())
    except OSError as error:
        print("lost", address, error, flush=True)
    finally:
        client.close()
