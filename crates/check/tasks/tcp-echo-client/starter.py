"""A TCP echo client. It connects and sends; the reply is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.create_connection(("127.0.0.1", port)) as connection:
    connection.sendall(b"Hello TCP Server")
    # Your part: receive the reply, all of it, and print it after `Server says: `.
