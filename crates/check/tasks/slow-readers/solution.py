"""Echoes to each client in a thread of its own, which may wait: for bytes, or for room."""
import os
import socket
import sys
import threading

port = int(os.environ.get("PORT", "12345"))


def echo(connection, client):
    with connection:
        try:
            # sendall waits until all is sent. Nothing more is read in the meantime, so the kernel
            # takes nothing more either: what is left stays at the client.
            while piece := connection.recv(16384):
                connection.sendall(piece)
        except OSError as error:
            print(f"serve {client}: {error}", file=sys.stderr)


with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
    while True:
        threading.Thread(target=echo, args=listener.accept(), daemon=True).start()
