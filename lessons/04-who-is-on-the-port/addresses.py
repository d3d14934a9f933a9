"""The two addresses of four sockets: a listener, two clients, and what accept gives."""

import socket

listener = socket.create_server(("127.0.0.1", 0))  # Port 0: the kernel picks.
server = listener.getsockname()
clients = [socket.create_connection(server) for _ in range(2)]
connections = [listener.accept()[0] for _ in range(2)]

print("listener  ", listener.getsockname())
for client, connection in zip(clients, connections):
    print("client    ", client.getsockname(), "to", client.getpeername())
    print("connection", connection.getsockname(), "to", connection.getpeername())
