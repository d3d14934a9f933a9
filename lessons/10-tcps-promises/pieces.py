"""tcp-client-pieces in Python: three pieces without waiting, each in a segment of its own."""

import socket

client = socket.create_connection(("10.77.0.2", 12345))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for piece in (b"one ", b"two ", b"three"):
    client.sendall(piece)
client.shutdown(socket.SHUT_WR)
print("The server received", client.recv(64).decode(), "bytes")
