"""Sends as many bytes as a client asks for, to one client at a time. Fix that, and what it
costs."""
import os
import socket

LETTERS = b"abcdefghijklmnopqrstuvw"
port = int(os.environ.get("PORT", "12345"))

with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        connection, client = listener.accept()
        with connection:
            line = b""
            while not line.endswith(b"\n") and (byte := connection.recv(1)):
                line += byte
            if not line.strip().isdigit():
                continue
            count = int(line)
            # Your part: where are all these bytes while the client does not read?
            connection.sendall((LETTERS * (count // 23 + 1))[:count])
