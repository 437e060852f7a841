"""The multiuser chat of labs A and B with one select loop. Right, or with one mistake."""
import select

from plant import has, listen

sock = listen()
members = []


def leave(conn):
    if not has("keeps_the_closed"):
        members.remove(conn)
    conn.close()


def say(conn, data):
    others = members if has("sends_it_back") else [member for member in members if member is not conn]
    if has("sends_it_to_one"):
        others = others[:1]
    for other in others:
        if has("text_of_ascii"):
            data = data.decode("ascii", errors="ignore").encode()
        try:
            other.sendall(data + data if has("says_it_twice") else data)
        except OSError:
            if has("dies_on_reset"):
                raise


waiting = {}
while True:
    for ready in select.select([sock, *members], [], [])[0]:
        if ready is sock:
            members.append(sock.accept()[0])
            continue
        if ready not in members:
            continue
        try:
            data = ready.recv(65536)
        except OSError:
            if has("dies_on_reset"):
                raise
            data = b""
        if not data:
            if not has("drops_last_words"):
                say(ready, waiting.pop(ready, b""))
            leave(ready)
            continue
        if has("waits_for_a_newline") or has("drops_last_words"):
            data = waiting.pop(ready, b"") + data
            end = data.rfind(b"\n") + 1
            data, waiting[ready] = data[:end], data[end:]
        if has("cuts_lines"):
            data = data[:100]
        say(ready, data)
