"""Lab A: the simple web server of the current directory."""
import http.server
import socketserver
import sys

with socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler) as server:
    print("port", server.server_address[1], flush=True)
    server.serve_forever()
