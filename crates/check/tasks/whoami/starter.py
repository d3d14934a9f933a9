"""Tells each client both addresses of its connection. It knows one; the other is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))


def shown(address):
    return "{}:{}".format(*address)


with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            local = shown(connection.getsockname())
            # Your part: who is at the other end? And what has it sent in the meantime?
            peer = local
            connection.sendall(f"local {local} peer {peer}\n".encode())
