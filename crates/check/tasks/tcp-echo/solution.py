"""A TCP echo server for one client, which sends one message."""
import os
import socket
import sys

port = int(os.environ.get("PORT", "12345"))

# create_server sets SO_REUSEADDR, so that the server can start again at once.
with socket.create_server(("127.0.0.1", port)) as listener:
    connection, client = listener.accept()
    with connection:
        message = connection.recv(1024)
        if not message:
            sys.exit("the client ended its stream before it sent anything")
        connection.sendall(b"Echo: " + message)
