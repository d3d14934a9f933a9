"""A key-value store over UDP. It calls every request bad; the store is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", port))
    while True:
        request, client = server.recvfrom(2048)
        # Your part: `put NAME\nVALUE` and `get NAME`. What is a name, and what is not?
        server.sendto(b"bad", client)
