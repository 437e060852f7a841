"""Lab D: a server that closes its socket and ends on Esc."""
import select
import socket
import sys
import termios
import tty

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
before = termios.tcgetattr(sys.stdin)
tty.setcbreak(sys.stdin)
print("Esc ends it", flush=True)
try:
    while True:
        readable = select.select([sys.stdin, listener], [], [])[0]
        if sys.stdin in readable and sys.stdin.read(1) == "\x1b":
            break
        if listener in readable:
            client, address = listener.accept()
            client.sendall(client.recv(1024) + b" Ali")
            client.close()
finally:
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    listener.close()
    print("closed")
