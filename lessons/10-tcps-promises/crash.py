"""tcp-server-crash in Python: echoes one word, and then knows nothing of the connection."""

import socket
import struct

listener = socket.create_server(("10.77.0.2", 12345))
print("Server is listening on port 12345...", flush=True)
connection, _ = listener.accept()
data = connection.recv(1024)
print("Received:", data.decode(), flush=True)
# SO_LINGER with zero seconds: close keeps nothing, and sends an RST. The wire loses it.
linger = struct.pack("ii", 1, 0)
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
connection.sendall(data)
connection.close()
print("The connection is forgotten")
