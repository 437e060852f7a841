"""Lab E, exercise 9-1: tells the time to whoever sends reqtime, over TCP and UDP."""
import select
import socket
import sys
import time

port = int(sys.argv[1])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", port))
listener.listen(5)
port = listener.getsockname()[1]
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", port))
ahead = float(sys.argv[2])
print("port", port, flush=True)


def answer(request):
    now = time.strftime("%c", time.localtime(time.time() + ahead))
    return (now if request == b"reqtime" else "what?").encode()


while True:
    readable, _, _ = select.select([listener, datagrams], [], [])
    if datagrams in readable:
        request, client = datagrams.recvfrom(1024)
        datagrams.sendto(answer(request), client)
    if listener in readable:
        client, _ = listener.accept()
        client.send(answer(client.recv(1024)))
        client.close()
