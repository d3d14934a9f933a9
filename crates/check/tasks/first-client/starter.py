"""A first client. It makes the calls socket(2) and connect(2); the rest is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.create_connection(("127.0.0.1", port)) as connection:
    # Your part: `connection.recv(1024)` again and again, until it returns b"", and count.
    count = 0
print(count, "bytes")
