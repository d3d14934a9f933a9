"""A chat with names. It asks for a name, and then talks to nobody; the rest is yours."""
import os
import socketserver

port = int(os.environ.get("PORT", "12345"))


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"name?\n")
        while line := self.rfile.readline():
            # Your part: the first line is the name; every other one is for all the others.
            # Who writes to whom? And what if one of them does not read?
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
