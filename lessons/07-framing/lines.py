"""Echoes messages that a newline ends, to one client.

Run it, then the client in another terminal: python3 lines.py [PORT]
"""
import socket
import sys

MOST_BYTES = 65536


def lines(connection):
    """Gives each message when it is whole, however the stream is cut."""
    held = b""
    while piece := connection.recv(6):
        held += piece
        while (end := held.find(b"\n")) >= 0:
            if end > MOST_BYTES:
                break
            yield held[:end]
            held = held[end + 1:]
        if len(held) > MOST_BYTES:
            sys.exit(f"recv: no end of the message within {MOST_BYTES} bytes")
    if held:
        sys.exit(f"recv: end of stream inside a message ({len(held)} bytes of it came)")


port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345
with socket.create_server(("127.0.0.1", port)) as server_socket:
    print(f"Server is listening on port {server_socket.getsockname()[1]}...", flush=True)
    connection, client = server_socket.accept()
with connection:
    for message in lines(connection):
        print(f"Message: {repr(message)[2:-1]}", flush=True)
        connection.sendall(b"Echo: " + message + b"\n")
