"""A key-value server that speaks part of RESP. It answers every command with an error; the
commands are yours."""
import os
import socketserver

port = int(os.environ.get("PORT", "12345"))


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            # Your part: this is one line of a command. Read all of its strings, and answer.
            # How long may a line be? Which bytes may a string contain?
            self.wfile.write(b"-ERR not written yet\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
