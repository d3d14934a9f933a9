"""Echoes what comes from each client, and says no goodbye: neither to its clients, nor when it is
asked to end. Both are yours."""
import os
import socket
import threading

port = int(os.environ.get("PORT", "12345"))


def serve(connection, client):
    with connection:
        while piece := connection.recv(4096):
            connection.sendall(piece)
        # Your part: the client's stream has ended. May we still say something?


# Your part: SIGTERM. See signal.signal.
with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        threading.Thread(target=serve, args=listener.accept(), daemon=True).start()
