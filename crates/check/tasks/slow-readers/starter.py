"""Echoes to one client after another: whoever is slow holds up everybody."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
    while True:
        # Your part: the next client waits here until this one has left.
        connection, client = listener.accept()
        with connection:
            try:
                while piece := connection.recv(16384):
                    connection.sendall(piece)
            except OSError:
                pass
