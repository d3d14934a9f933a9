"""Answers each client's line, one client after another. Those who wait are in the kernel's
queue: its length is the backlog."""
import os
import socket

MOST_BYTES = 100
port = int(os.environ.get("PORT", "12345"))


def serve(connection):
    line = b""
    while b"\n" not in line:
        piece = connection.recv(MOST_BYTES + 1)
        line += piece
        if not piece or len(line) > MOST_BYTES + 1:
            return
    connection.sendall(b"ok\n")


with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
    while True:
        connection, client = listener.accept()
        with connection:
            try:
                serve(connection)
            except OSError as error:  # It reset, perhaps in the queue. The others wait.
                print(f"serve {client}: {error}", flush=True)
