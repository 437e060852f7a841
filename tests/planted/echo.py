"""An echo server, right or with one mistake."""
import select
import socket
import time

from plant import MISTAKE, has, listen, serve


def each(conn):
    seen = b""
    while True:
        data = conn.recv(4096)
        if not data:
            if has("adds_at_the_end"):
                conn.sendall(b"bye")
            if has("forgets_to_close"):
                threading_event.wait(60)
            return
        if has("waits_for_a_newline"):
            seen += data
            *lines, seen = seen.split(b"\n")
            data = b"".join(line + b"\n" for line in lines)
        if has("decodes"):
            data = data.decode(errors="ignore").encode()
        if has("ends_at_nul"):
            data = data.split(b"\0")[0]
        if has("strips"):
            data = data.strip()
        conn.sendall(data)
        if has("one_recv_only"):
            return


def dies_on_reset():
    """One select loop that lets ConnectionResetError end it."""
    sock = listen()
    sockets = [sock]
    while True:
        for ready in select.select(sockets, [], [])[0]:
            if ready is sock:
                sockets.append(sock.accept()[0])
                continue
            data = ready.recv(65536)
            if data:
                ready.sendall(data)
            else:
                sockets.remove(ready)
                ready.close()


def loses_what_is_owed():
    """A select loop that closes when recv returns nothing, whatever still waits to be sent.

    The slow one needs longer for 8 MB than the case waits for one that takes no more.
    """
    sock = listen()
    sock.setblocking(False)
    owed = {}
    while True:
        writing = [conn for conn in owed if owed[conn]]
        reading, writing, _ = select.select([sock, *owed], writing, [])
        for ready in writing:
            try:
                owed[ready] = owed[ready][ready.send(owed[ready]):]
            except OSError:
                del owed[ready]
        for ready in reading:
            if ready is sock:
                conn = sock.accept()[0]
                conn.setblocking(False)
                owed[conn] = b""
            elif ready in owed:
                try:
                    data = ready.recv(65536)
                except OSError:
                    data = b""
                if data and has("loses_what_is_owed_slowly"):
                    time.sleep(0.005)
                if data:
                    owed[ready] += data
                else:
                    del owed[ready]
                    ready.close()


def mixes_clients_up():
    """Every client's bytes go through one buffer, and whoever reads first gets all of it."""
    sock = listen()
    sockets = [sock]
    buffer = b""
    while True:
        ready = select.select(sockets, [], [])[0]
        for conn in ready:
            if conn is sock:
                sockets.append(sock.accept()[0])
                continue
            try:
                data = conn.recv(65536)
                if not data:
                    raise OSError
                buffer += data
                if len(sockets) > 3 and len(ready) == 1 and len(buffer) < 30:
                    continue
                conn.sendall(buffer)
                buffer = b""
            except OSError:
                sockets.remove(conn)
                conn.close()


def ignores_what_send_returns(conn):
    """send() takes as much as there is room for; the rest is lost."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    conn.settimeout(0.2)
    while True:
        try:
            data = conn.recv(1 << 20)
            if not data:
                return
            conn.send(data)
        except socket.timeout:
            pass


import threading  # noqa: E402

threading_event = threading.Event()

loops = {
    "dies_on_reset": dies_on_reset,
    "loses_what_is_owed": loses_what_is_owed,
    "loses_what_is_owed_slowly": loses_what_is_owed,
    "mixes_clients_up": mixes_clients_up,
}
if MISTAKE in loops:
    loops[MISTAKE]()
elif has("ignores_what_send_returns"):
    serve(ignores_what_send_returns)
else:
    serve(each, one_at_a_time=has("one_at_a_time"))
