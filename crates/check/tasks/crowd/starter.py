"""Echoes to each client in a thread of its own. A thousand threads are too many: serve all in one.
See the module selectors."""
import os
import socket
import threading

port = int(os.environ.get("PORT", "12345"))


def echo(connection, client):
    with connection:
        while piece := connection.recv(4096):
            connection.sendall(piece)


with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
    while True:
        # Your part: no thread for each client.
        threading.Thread(target=echo, args=listener.accept(), daemon=True).start()
