"""A proxy that copies both ways. It copies one way, for one client; the rest is yours."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))
upstream = int(os.environ.get("UPSTREAM", "12346"))

with socket.create_server(("127.0.0.1", port)) as listener:
    client, address = listener.accept()
    with client, socket.create_connection(("127.0.0.1", upstream)) as server:
        # Your part: the other direction, at the same time. And when one of the two ends?
        while piece := client.recv(65536):
            server.sendall(piece)
