"""Lab A, exercise 2: shows what each sender sends; the message exit ends it."""
import socket
import sys

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("", int(sys.argv[1])))
listener.listen(1)
print("port", listener.getsockname()[1], flush=True)
print("this machine is", socket.gethostname(), flush=True)
message = ""
while message != "exit":
    client, address = listener.accept()
    message = client.recv(256).decode()
    print("got", message, flush=True)
    client.close()
