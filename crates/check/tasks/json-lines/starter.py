"""A server that answers requests in JSON. It answers every line with an error; the methods are
yours."""
import json
import os
import socketserver

port = int(os.environ.get("PORT", "12345"))


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            # Your part: read the request in this line, and answer it. How long may a line be?
            # What if it is not JSON, or not UTF-8?
            answer = {"id": None, "error": "not written yet"}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
