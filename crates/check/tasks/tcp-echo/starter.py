"""A TCP echo server for one client. It listens and takes a message; the rest is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.create_server(("127.0.0.1", port)) as listener:
    connection, client = listener.accept()
    with connection:
        message = connection.recv(1024)
        # Your part: what if nothing came? Otherwise send the message back, after `Echo: `.
