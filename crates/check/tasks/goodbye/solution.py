"""Echoes what comes from each client, says goodbye to each, and shuts down gracefully."""
import os
import select
import signal
import socket
import sys
import threading
import time

DRAIN = 1.0  # seconds that the last clients have
port = int(os.environ.get("PORT", "12345"))


def serve(connection, client):
    with connection:
        try:
            count = 0
            while piece := connection.recv(4096):
                count += len(piece)
                connection.sendall(piece)
            # The client will send nothing more, but its other direction is open: half-close.
            connection.sendall(b"bye %d\n" % count)
        except OSError as error:
            print(f"serve {client}: {error}", flush=True)


# The signal leaves a byte in this socket. If a handler raised an exception instead, the signal
# could come just before accept, and accept would still wait.
signalled, wakeup = socket.socketpair()
wakeup.setblocking(False)
signal.set_wakeup_fd(wakeup.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)
clients = []
listener = socket.create_server(("127.0.0.1", port), backlog=128)
while True:
    ready, _, _ = select.select([listener, signalled], [], [])
    if listener not in ready:
        break
    client = threading.Thread(target=serve, args=listener.accept(), daemon=True)
    client.start()
    clients = [other for other in clients if other.is_alive()] + [client]
listener.close()
until = time.monotonic() + DRAIN
for client in clients:
    client.join(max(until - time.monotonic(), 0))
# Daemon threads do not keep the program alive: clients that are left are cut off.
sys.exit(0)
