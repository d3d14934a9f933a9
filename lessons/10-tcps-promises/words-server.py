"""tcp-server-words in Python: one client, and the echo of each word."""

import signal
import socket

# Ctrl-C ends this program without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)
listener = socket.create_server(("10.77.0.2", 12345))
print("Server is listening on port 12345...", flush=True)
connection, _ = listener.accept()
while data := connection.recv(1024):
    print("Received:", data.decode(), flush=True)
    connection.sendall(data)
print("End of stream")
