"""Waits for the reply of its server, whatever has become of the server's machine."""
import os
import socket
import sys

address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))

# Your part: how long may each of these three calls wait, and for what? See SO_KEEPALIVE, and
# what the module socket has of TCP_.
with socket.create_connection(address) as connection:
    connection.sendall(b"status?\n")
    while piece := connection.recv(4096):
        sys.stdout.buffer.write(piece)
