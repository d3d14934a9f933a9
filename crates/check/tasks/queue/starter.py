"""Answers each client's line. It takes what one recv returns for the line; fix that, and the
rest."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

# The backlog is how many clients may wait in the queue. How many come?
with socket.create_server(("127.0.0.1", port), backlog=1) as listener:
    while True:
        connection, client = listener.accept()
        with connection:
            # Your part: is this the whole line? What if the client is gone, or never ends?
            line = connection.recv(100)
            connection.sendall(b"ok\n")
