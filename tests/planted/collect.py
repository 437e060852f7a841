"""The server of lab C that receives until the client is done. Right, or with one mistake."""
from plant import has, serve


def each(conn):
    chunks = []
    while True:
        data = conn.recv(1024)
        chunks.append(data)
        if not data or has("one_recv_only"):
            break
    if has("answers"):
        conn.sendall(b"".join(chunks))
    if has("never_closes"):
        import time

        time.sleep(60)


serve(each, one_at_a_time=has("one_at_a_time"))
