"""A first client: it receives to the end of the stream, and counts."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

count = 0
with socket.create_connection(("127.0.0.1", port)) as connection:
    # recv(2) returns what has come. No bytes means the end of the stream.
    while piece := connection.recv(1024):
        count += len(piece)
print(count, "bytes")
