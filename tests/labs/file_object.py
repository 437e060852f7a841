"""Lab A: socket and file object. To an echo server: what is sent, and when; what is received, and how much."""
import select
import socket
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.send(b"Hello there")
print("recv(1000) gives", sock.recv(1000))
file = sock.makefile("rwb")
file.write(b"buffered")
came = select.select([sock], [], [], 0.3)[0]
print("before flush:", "a reply" if came else "nothing was sent")
file.flush()
print("read(8) gives", file.read(8))
for piece in range(10):
    sock.sendall(b"x" * 10000)
once = len(sock.recv(100000))
print("recv(100000) gives some of it, at least a byte:", 1 <= once <= 100000)
sock.shutdown(socket.SHUT_WR)
print("read() gives all the rest:", once + len(file.read()) == 100000)
