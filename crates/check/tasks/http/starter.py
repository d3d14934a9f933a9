"""A web server. It answers every request with status 404; the paths are yours."""
import os
import socketserver

port = int(os.environ.get("PORT", "12345"))


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            # Your part: this is one line of a request, and an empty one ends its head. Which of
            # its fields do you need? Does it have a body? How long may a line be?
            if line == b"\r\n":
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
