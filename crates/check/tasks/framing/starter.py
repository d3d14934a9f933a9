"""Echoes messages that begin with their length, as long as each comes alone and whole. Fix
that."""
import os
import socket
import struct

port = int(os.environ.get("PORT", "12345"))

with socket.create_server(("127.0.0.1", port)) as listener:
    connection, client = listener.accept()
    with connection:
        while piece := connection.recv(4 + 65536):
            # Your part: is this one message? Or half of one, or two and a half?
            message = piece[4:]
            reply = b"Echo: " + message
            connection.sendall(struct.pack(">I", len(reply)) + reply)
