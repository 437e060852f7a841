"""The hand-made server of lab C: Hello World, Hello Yourself, Goodbye. Right, or with one mistake."""
from plant import has, serve


def each(conn):
    data = conn.recv(1024)
    if has("waits_for_a_newline"):
        while b"\n" not in data:
            data += conn.recv(1024)
    if data == b"Hello World":
        conn.sendall(b"Hello yourself" if has("misspells") else b"Hello Yourself")
    conn.settimeout(0.3)
    try:
        conn.recv(1024)
    except TimeoutError:
        pass
    if not has("never_says_goodbye"):
        conn.sendall(b"Goodbye")
    if has("never_closes"):
        conn.settimeout(60)
        conn.recv(1024)


serve(each)
