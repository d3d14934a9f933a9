"""Waits for the reply of its server as long as the server's machine is there."""
import os
import socket
import sys

address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
limit = int(os.environ.get("LIMIT", "10"))  # seconds

# While it connects, it has a timeout.
with socket.create_connection(address, timeout=limit) as connection:
    # Later it has none: a slow server is alive.
    connection.settimeout(None)
    # While nothing is on its way, the kernel asks from time to time whether the other one is still
    # there.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL:
        connection.setsockopt(socket.IPPROTO_TCP, option, max(limit // 3, 1))
    # While something is on its way, it repeats that, and does not ask. This is how long an answer may be
    # missing, to either, in milliseconds.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit * 1000)
    connection.sendall(b"status?\n")
    while piece := connection.recv(4096):
        sys.stdout.buffer.write(piece)
