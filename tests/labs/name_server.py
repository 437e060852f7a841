"""Lab D: adds a name to each line; a thread for each client. A class of its own for a connection."""
import socket
import sys
import threading


class TcpConnection:
    """Two endpoints, each an address and a port."""

    def __init__(self, sock):
        self.sock = sock
        self.local = sock.getsockname()
        self.remote = sock.getpeername()

    def serve(self, name):
        print("from", self.remote, "to", self.local, flush=True)
        with self.sock.makefile("rw", newline="\n") as file:
            for line in file:
                file.write(line.strip() + " " + name + "\r\n")
                file.flush()
        self.sock.close()


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=5)
print("port", listener.getsockname()[1], flush=True)
while True:
    connection = TcpConnection(listener.accept()[0])
    threading.Thread(target=connection.serve, args=(sys.argv[2],), daemon=True).start()
