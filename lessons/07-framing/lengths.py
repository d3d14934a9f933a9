"""Echoes messages that begin with their length, to one client.

Run it, then the client in another terminal: python3 lengths.py [PORT]
"""
import socket
import struct
import sys

MOST_BYTES = 65536


def exactly(connection, length):
    """Receives that many bytes, with as many recv as it takes; fewer at the end of the stream."""
    held = b""
    while len(held) < length and (piece := connection.recv(min(6, length - len(held)))):
        held += piece
    return held


def messages(connection):
    """Gives each message when it is whole, however the stream is cut."""
    # ">I": four bytes, the most significant first, no sign.
    while head := exactly(connection, 4):
        if len(head) < 4:
            sys.exit(f"recv: end of stream inside a message ({len(head)} bytes of it came)")
        (length,) = struct.unpack(">I", head)
        if length > MOST_BYTES:
            sys.exit(f"recv: a message of {length} bytes, and {MOST_BYTES} are allowed")
        message = exactly(connection, length)
        if len(message) < length:
            came = len(head) + len(message)
            sys.exit(f"recv: end of stream inside a message ({came} bytes of it came)")
        yield message


port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345
with socket.create_server(("127.0.0.1", port)) as server_socket:
    print(f"Server is listening on port {server_socket.getsockname()[1]}...", flush=True)
    connection, client = server_socket.accept()
with connection:
    for message in messages(connection):
        print(f"Message: {repr(message)[2:-1]}", flush=True)
        connection.sendall(struct.pack(">I", 6 + len(message)) + b"Echo: " + message)
