"""Says `stored`, though it does not know; fix that."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))

with socket.create_connection(("127.0.0.1", port)) as connection:
    connection.sendall(b"store one\n")
    # Your part: what does it mean that sendall has returned? How long should we wait?
    answer = connection.recv(3)
    print("stored")
