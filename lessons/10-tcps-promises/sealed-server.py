"""tcp-server-sealed in Python: a message counts only if its hash fits."""

import hashlib
import socket

listener = socket.create_server(("10.77.0.2", 12345))
print("Server is listening on port 12345...", flush=True)
connection, _ = listener.accept()
# One message at a time is in flight here, and it fits into a segment. Otherwise it would
# need its length in front (lesson 7).
while sealed := connection.recv(1024):
    seal, message = sealed[:32], sealed[32:]
    answer = "whole" if hashlib.sha256(message).digest() == seal else "damaged"
    print(f"{answer.capitalize()}: {message.decode()}", flush=True)
    connection.sendall(answer.encode())
print("End of stream")
