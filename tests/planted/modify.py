"""The server of labs B and D: each message comes back with something done to it. Right, or with one mistake."""
from plant import MISTAKE, has, serve


def change(data):
    if has("ignores_the_message"):
        return b"Thanks"
    if has("right_reversed"):
        return data[::-1]
    if has("right_length"):
        return b"%d bytes" % len(data)
    if has("right_prefix"):
        return b"Here's the data: " + data
    return data + b" Ali"


def each(conn):
    waiting = b""
    while True:
        data = conn.recv(10 if has("small_recv") else 1024)
        if not data:
            if has("never_notices_the_end"):
                continue
            return
        if has("waits_for_a_newline"):
            waiting += data
            if b"\n" not in waiting:
                continue
            data, waiting = waiting, b""
        if has("loses_last_words"):
            import time

            time.sleep(0.05)
            conn.setblocking(False)
            try:
                if not conn.recv(1, 2):  # MSG_PEEK
                    return
            except BlockingIOError:
                pass
            conn.setblocking(True)
        if has("ascii_only"):
            data = data.decode("ascii").encode()
        end = data[len(data.rstrip(b"\r\n")):]
        conn.sendall(change(data.rstrip(b"\r\n")) + end)
        if has("one_message"):
            return


def ends_with_the_first_client():
    from plant import listen

    conn = listen().accept()[0]
    each(conn)


if has("ends_with_the_first_client"):
    ends_with_the_first_client()
else:
    serve(each, one_at_a_time=MISTAKE in ("one_at_a_time", "dies_on_reset", "never_notices_the_end"))
