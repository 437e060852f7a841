"""The time server of lab E: `reqtime` brings strftime %c. Right, or with one mistake."""
import time

from plant import has, serve


def each(conn):
    waiting = b""
    while True:
        data = conn.recv(1024)
        if not data:
            return
        waiting += data
        if has("waits_for_a_newline") and b"\n" not in waiting:
            continue
        if waiting.strip() == b"reqtime" or b"\n" in waiting:
            waiting = b""
            form = "%Y-%m-%d %H:%M:%S" if has("another_format") else "%c"
            conn.sendall(time.strftime(form).encode())
            if has("closes_after_one"):
                return


serve(each, one_at_a_time=has("one_at_a_time"))
