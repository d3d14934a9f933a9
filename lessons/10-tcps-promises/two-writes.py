"""Sends a request in two parts, one right after the other, and waits for the reply."""

import socket

client = socket.create_connection(("10.77.0.2", 12345))
client.recv(2)
client.send(b"head")
client.send(b"body")
client.recv(4)
client.close()
print("The reply has come")
