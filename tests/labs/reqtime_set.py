"""Lab E, exercise 9-1, bonus: the server's time, how far this clock is behind it, and setting it."""
import socket
import sys
import time

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
asked = time.time()
sock.send(b"reqtime")
answer = sock.recv(1024).decode()
delay = time.time() - asked
server = time.mktime(time.strptime(answer, "%c"))
print("server time:", answer)
print("the answer took less than a second:", delay < 1)
print("behind by about", round(server - time.time(), -1), "s")
if sys.argv[-1] == "--set":
    time.clock_settime(time.CLOCK_REALTIME, server + delay / 2)
else:
    print("would set the clock; --set does it, as root")
