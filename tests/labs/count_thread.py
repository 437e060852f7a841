"""Lab A: one thread counts while something else runs: here, waiting for the answers of a server."""
import socket
import sys
import threading

done = threading.Event()
counted = 0


def count():
    global counted
    while not done.wait(0.01):
        counted += 1


threading.Thread(target=count).start()
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.send(b"Hello World")
print(sock.recv(1024))
print(sock.recv(1024))
done.set()
print("counted meanwhile:", counted > 0)
