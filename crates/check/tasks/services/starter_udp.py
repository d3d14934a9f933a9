"""A UDP server for a small service: it takes one datagram, and does nothing yet."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", port))
    message, client = server.recvfrom(1024)
    # Your part: the service, and a loop.
    server.sendto(b"not written yet", client)
