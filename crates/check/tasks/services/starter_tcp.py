"""A TCP server for a small service: it accepts, and does nothing yet."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        connection, client = listener.accept()
        with connection:
            pass  # Your part: the service. Here the connection is closed.
