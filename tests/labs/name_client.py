"""Lab D: an own client instead of telnet: what is typed goes out as a line, the answer is shown."""
import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
    answers = sock.makefile("r")
    for line in sys.stdin:
        sock.sendall(line.strip().encode() + b"\r\n")
        print(answers.readline().strip(), flush=True)
