"""Replies to lines, and ends without losing one: in one loop, in which the signal is one more thing
that may come."""
import os
import selectors
import signal
import socket
import time

grace = int(os.environ.get("GRACE", "10"))  # seconds that the last clients have
port = int(os.environ.get("PORT", "12345"))
selector = selectors.DefaultSelector()
clients = {}
served = 0


class Client:
    def __init__(self, connection):
        self.connection = connection
        self.line = b""
        self.unsent = b""
        self.finishing = False
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, self)
        clients[connection] = self

    def leave(self):
        selector.unregister(self.connection)
        del clients[self.connection]
        self.connection.close()

    def reply(self, piece):
        global served
        *lines, self.line = (self.line + piece).split(b"\n")
        served += len(lines)
        self.unsent += b"".join(b"done %s\n" % line for line in lines)

    def send(self):
        if self.unsent:
            try:
                self.unsent = self.unsent[self.connection.send(self.unsent):]
            except BlockingIOError:
                pass
        if self.finishing and not self.unsent:
            self.connection.shutdown(socket.SHUT_WR)
        wanted = selectors.EVENT_WRITE if self.unsent else selectors.EVENT_READ
        selector.modify(self.connection, wanted, self)

    def turn(self):
        if self.unsent:
            return self.send()
        piece = self.connection.recv(65536)
        if not piece:
            return self.leave()
        # After our end has ended, what comes is thrown away.
        if not self.finishing:
            self.reply(piece)
            self.send()

    def finish(self):
        """Replies to all that has come, ends our stream, and keeps the connection: closed with
        bytes unread it would be reset."""
        try:
            while piece := self.connection.recv(65536):
                self.reply(piece)
        except BlockingIOError:
            pass
        self.finishing = True
        self.send()


def each(client, what):
    try:
        what()
    except BlockingIOError:
        pass
    except OSError:
        client.leave()


# The signal leaves a byte in this socket.
signalled, wakeup = socket.socketpair()
wakeup.setblocking(False)
signal.set_wakeup_fd(wakeup.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)
selector.register(signalled, selectors.EVENT_READ)
listener = socket.create_server(("127.0.0.1", port), backlog=128)
listener.setblocking(False)
selector.register(listener, selectors.EVENT_READ)

running = True
while running:
    for key, _ in selector.select():
        if key.fileobj is signalled:
            running = False
        elif key.data:
            each(key.data, key.data.turn)
    try:
        while True:
            Client(listener.accept()[0])
    except OSError:
        pass  # The queue is empty: closing the listener resets nobody.

selector.unregister(listener)
listener.close()
selector.unregister(signalled)
until = time.monotonic() + grace
for client in list(clients.values()):
    each(client, client.finish)
while clients and time.monotonic() < until:
    for key, _ in selector.select(max(until - time.monotonic(), 0)):
        each(key.data, key.data.turn)
print("served", served)
