"""What the servers with a planted mistake share. Each takes the mistake's name as its argument ("none": it
is right), listens on any free port of this machine, and prints the port as its first line."""
import socket
import sys
import threading

MISTAKE = sys.argv[1]


def has(mistake):
    return MISTAKE == mistake


def listen(backlog=100):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(backlog)
    print(sock.getsockname()[1], flush=True)
    return sock


def serve(each, one_at_a_time=False):
    """Calls each(conn) for every client, in a thread of its own."""
    sock = listen()
    while True:
        conn, _ = sock.accept()
        if one_at_a_time:
            each(conn)
            conn.close()
        else:
            threading.Thread(target=run, args=(each, conn), daemon=True).start()


def run(each, conn):
    with conn:
        try:
            each(conn)
        except OSError:
            pass
