"""A client that has come, spoken and gone before anybody calls accept; then a full backlog."""

import socket

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
listener.listen(1)
server = listener.getsockname()

client = socket.create_connection(server)
client.sendall(b"Hello TCP Server")
client.close()
print("the client has gone")

connection, _ = listener.accept()
print("accepted; recv gives", connection.recv(1024), "then", connection.recv(1024))

clients = []
while True:
    try:
        clients.append(socket.create_connection(server, timeout=0.1))
    except socket.timeout:
        break
print("a backlog of 1 takes", len(clients), "and the next gets no answer")
