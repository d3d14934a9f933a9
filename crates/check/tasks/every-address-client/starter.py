"""Connects to the first address that it was given. The others are yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))
hosts = os.environ.get("HOSTS", "127.0.0.1").split(",")

# Your part: if this one does not work, or does not answer, there are others.
host = hosts[0]
with socket.create_connection((host, port)) as connection:
    connection.sendall(b"Hello\n")
    print(f"connected to {host}")
