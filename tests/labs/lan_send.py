"""Lab A: sends one datagram to everybody on the network. It has the port for itself."""
import socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 40000))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.sendto(b"Hello there", ("<broadcast>", 40000))
