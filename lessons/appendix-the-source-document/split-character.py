# Point 10: a stream may be cut anywhere, even in the middle of a character.
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
connection, _ = listener.accept()

client.sendall("é".encode())  # two bytes: c3 a9
print(connection.recv(1).decode())
