"""Lab B: sends 20 messages (or what is typed: -, or the lines of a file), and waits for each answer."""
import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
if len(sys.argv) < 4:
    messages = ["message number %d" % number for number in range(1, 21)]
else:
    messages = sys.stdin if sys.argv[3] == "-" else open(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.connect((host, port))
try:
    for message in messages:
        message = message.rstrip("\n")
        if not message:
            continue  # nothing sent, no answer
        sock.sendall(message.encode())
        reply = sock.recv(1024).decode()
        print("sent", repr(message), "got", repr(reply))
finally:
    sock.close()
