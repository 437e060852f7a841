"""Lab A: what the machine is called, and what a name and an address stand for."""
import socket

print("gethostname:", socket.gethostname())
print("gethostbyname:", socket.gethostbyname("localhost"))
print("gethostbyaddr:", socket.gethostbyaddr("127.0.0.1")[0])
print("'' binds to:", socket.create_server(("", 0)).getsockname()[0])
print("'<broadcast>' is:", socket.getaddrinfo("255.255.255.255", 0)[0][4][0], "(INADDR_BROADCAST)")
