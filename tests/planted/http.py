"""A web server of one page, as lab C writes it. Right, or with one mistake."""
from plant import has, serve

PAGE = "<h1>Hello \u4f60\u597d</h1>"


def each(conn):
    request = conn.recv(8192)
    while not has("one_recv_only") and b"\r\n\r\n" not in request:
        data = conn.recv(8192)
        if not data:
            if has("waits_for_more"):
                continue
            return
        request += data
    words = request.split(b" ")
    status, body = "200 OK", PAGE.encode()
    if len(words) < 2 or not words[0].isalpha():
        status = "400 Bad Request"
    elif words[1] != b"/" and not has("finds_everything"):
        status = "404 Not Found"
    length = len(PAGE) if has("counts_characters") else len(body)
    head = f"HTTP/1.0 {status}\r\nContent-Length: {length}\r\n\r\n".encode()
    if has("no_blank_line"):
        head = head[:-2]
    conn.sendall(head + body)
    if has("never_closes"):
        import time

        time.sleep(60)


serve(each, one_at_a_time=has("one_at_a_time"))
