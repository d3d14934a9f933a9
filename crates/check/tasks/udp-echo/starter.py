"""A UDP echo server. It receives datagrams; answering them is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", port))
    while True:
        message, client = server.recvfrom(1024)
        # Your part: send it back to its client, after `Echo: `. Is the buffer large
        # enough? What may fail without ending the server?
