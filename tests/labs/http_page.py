"""Lab C: a page for a browser, without a length; the request is shown."""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen(5)
print("port", s.getsockname()[1], flush=True)
client, address = s.accept()
print(client.recv(8192).decode())
client.send(b"HTTP/1.0 200 OK\r\nContent-type: text/html\r\n\r\n<h1>Hello World</h1>")
client.close()
