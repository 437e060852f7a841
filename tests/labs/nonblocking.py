"""Lab E: blocking and non-blocking: the one waits for data, the other says that there is none."""
import select
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.setblocking(False)
try:
    sock.recv(1024)
except BlockingIOError as error:
    print("non-blocking:", error.strerror)
sock.sendall(b"Hello")
select.select([sock], [], [])
print("after select:", sock.recv(1024))
