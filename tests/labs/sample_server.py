"""Lab D, samples 5 to 8: listen; greet; accept in a loop; a thread per connection. sample_server.py STEP."""
import socket
import sys
import threading

step = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 8888))
s.listen(10)
print("listening", flush=True)


def greet(connection, address):
    print("connected with", address[0], flush=True)
    if step == 6:
        connection.sendall(b"Welcome\r\n")
    while step > 6 and (data := connection.recv(1024)):
        connection.sendall(b"OK..." + data)
    connection.close()


while True:
    client = s.accept()
    if step < 8:
        greet(*client)
    else:
        threading.Thread(target=greet, args=client, daemon=True).start()
    if step < 7:
        break
s.close()
