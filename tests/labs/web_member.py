"""Lab A: a member of the room by WebSocket (RFC 6455), as the page /chat is one. Ends at the keyboard's end."""
import base64
import json
import os
import select
import socket
import struct
import sys

host, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sock = socket.create_connection((host, port))
key = base64.b64encode(os.urandom(16)).decode()
sock.sendall((
    f"GET /ws/chat HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
).encode())
stream = sock.makefile("rb", buffering=0)
while (line := stream.readline()) != b"\r\n":
    print(line.decode().strip(), flush=True) if line.startswith(b"HTTP") else None


def exactly(count):
    """So many bytes: a read may bring fewer."""
    data = b""
    while len(data) < count:
        data += stream.read(count - len(data)) or sys.exit("closed")
    return data


def send(opcode, data):
    """One frame; what a client sends is masked, and short here."""
    mask = os.urandom(4)
    sock.sendall(struct.pack("!BB", 0x80 | opcode, 0x80 | len(data)) + mask
                 + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))


def receive():
    """One frame: what kind, and its content."""
    opcode, length = exactly(2)
    if length == 126:
        length, = struct.unpack("!H", exactly(2))
    return opcode & 0x0F, exactly(length)


TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
send(TEXT, json.dumps({"join": {"name": name}}).encode())
number = 0
while True:
    if sock in select.select([sys.stdin, sock], [], [])[0]:
        opcode, data = receive()
        if opcode == CLOSE:
            break
        if opcode == PING:
            send(PONG, data)
        elif opcode == TEXT:
            entry = json.loads(data)
            said = {"welcome": "in {room} as {name}", "said": "{name}: {text}", "notice": "* {text}"}
            print(said.get(entry["kind"], "{kind}").format(**entry), flush=True)
        continue
    line = sys.stdin.readline().strip()
    if not line:
        send(CLOSE, struct.pack("!H", 1000))
        break
    number += 1
    send(TEXT, json.dumps({"id": number, "text": line}).encode())
