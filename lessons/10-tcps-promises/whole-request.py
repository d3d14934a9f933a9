"""Says go, and answers a request of 8 bytes, but not half of one."""

import socket

listener = socket.create_server(("10.77.0.2", 12345))
print("Server is listening on port 12345...", flush=True)
connection, _ = listener.accept()
# The kernel acknowledges at once at the beginning of a connection, and holds back only
# when it has seen requests and replies. This says that it has (TCP_QUICKACK, tcp(7)).
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
connection.send(b"go")
request = connection.recv(8, socket.MSG_WAITALL)
connection.send(b"done")
connection.recv(1)
connection.close()
listener.close()
print("Answered:", request.decode())
