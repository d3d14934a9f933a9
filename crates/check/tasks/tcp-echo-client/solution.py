"""A TCP echo client: it sends one message and shows the reply."""
import os
import socket
import sys

port = int(os.environ.get("PORT", "12345"))

with socket.create_connection(("127.0.0.1", port)) as connection:
    connection.sendall(b"Hello TCP Server")
    # The reply may come in pieces, and the server may keep the connection open, but its
    # length is known.
    reply = b""
    while len(reply) < 22:
        piece = connection.recv(22 - len(reply))
        if not piece:
            sys.exit(f"the server ended its stream after {len(reply)} bytes of 22")
        reply += piece
# Escape what a terminal would obey.
shown = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in reply)
print(f"Server says: {shown}")
