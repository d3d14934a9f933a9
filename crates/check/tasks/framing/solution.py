"""Echoes messages that begin with their length, wherever the stream is cut."""
import os
import socket
import struct
import sys

port = int(os.environ.get("PORT", "12345"))
MOST = 65536


def receive(connection, count):
    """Returns this many bytes, or fewer if the stream ends first."""
    pieces = b""
    while len(pieces) < count:
        piece = connection.recv(count - len(pieces))
        if not piece:
            break
        pieces += piece
    return pieces


def serve(connection):
    # The stream may end before the first byte of a message, and nowhere else.
    while head := receive(connection, 4):
        if len(head) < 4:
            sys.exit("the stream ended inside a length")
        (length,) = struct.unpack(">I", head)
        # Check this before allocating any memory.
        if length > MOST:
            sys.exit(f"a message of {length} bytes; {MOST} is the limit")
        message = receive(connection, length)
        if len(message) < length:
            sys.exit("the stream ended inside a message")
        reply = b"Echo: " + message
        connection.sendall(struct.pack(">I", len(reply)) + reply)


with socket.create_server(("127.0.0.1", port)) as listener:
    connection, client = listener.accept()
    with connection:
        serve(connection)
