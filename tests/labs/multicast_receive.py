"""Lab E: joins a multicast group, and shows one datagram that is sent to it."""
import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("", int(sys.argv[2])))
member = socket.inet_aton(sys.argv[1]) + socket.inet_aton(sys.argv[3])
sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
print("joined", flush=True)
print(sock.recv(1000).decode())
