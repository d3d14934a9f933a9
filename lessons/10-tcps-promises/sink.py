"""tcp-server-sink in Python: takes a stream to its end, and answers with its length."""

import socket

listener = socket.create_server(("10.77.0.2", 12345))
print("Server is listening on port 12345...", flush=True)
connection, _ = listener.accept()
stream = b""
while data := connection.recv(65536):
    stream += data
connection.sendall(str(len(stream)).encode())
print("Received", len(stream), "bytes:", stream[:24].decode())
