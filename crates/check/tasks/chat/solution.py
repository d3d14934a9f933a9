"""A chat with names. Each client has two threads: one reads its lines, one writes what is waiting
for it. So nobody waits for a client that does not read."""
import os
import queue
import re
import socket
import socketserver
import sys
import threading

MOST_BYTES = 1000
MOST_LINES = 1000
NAME = re.compile(rb"[A-Za-z0-9]{1,16}")
port = int(os.environ.get("PORT", "12345"))
# Held until everyone is told, so that all hear things in the same order.
lock = threading.Lock()
# Name to client, in the order in which they came.
room = {}


def tell(name, line):
    """Tells everyone but one."""
    for other, client in room.items():
        if other != name:
            client.put(line)


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.wfile.write(b"name?\n")
            name = self.receive()
            if name is None:
                return
            if not NAME.fullmatch(name):
                self.wfile.write(b"error: that is not a name\n")
            elif not self.join(name):
                self.wfile.write(b"error: that name is taken\n")
            else:
                self.talk(name)
        except OSError as error:
            print(f"serve {self.client_address}: {error}", file=sys.stderr)

    def receive(self):
        """Returns the next line without its newline, or None at the end of the stream."""
        line = self.rfile.readline(MOST_BYTES + 1)
        # What ends without a newline, or is too long, is not a line.
        return line[:-1] if line.endswith(b"\n") else None

    def join(self, name):
        with lock:
            if name in room:
                return False
            self.lines = queue.Queue(MOST_LINES)
            threading.Thread(target=self.write, daemon=True).start()
            self.put(b" ".join([b"* here:", *room]) + b"\n")
            room[name] = self
            tell(name, b"* %s came\n" % name)
            return True

    def talk(self, name):
        try:
            while (line := self.receive()) is not None:
                with lock:
                    tell(name, b"[%s] %s\n" % (name, line))
        finally:
            with lock:
                del room[name]
                tell(name, b"* %s left\n" % name)
                self.put(None)

    def put(self, line):
        try:
            self.lines.put_nowait(line)
        except queue.Full:
            self.close()  # Its own thread hears of the end, and lets it leave.

    def write(self):
        try:
            while (line := self.lines.get()) is not None:
                self.wfile.write(line)
        except (OSError, ValueError):
            self.close()

    def close(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
