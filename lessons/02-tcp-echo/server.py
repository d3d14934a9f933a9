"""Waits for one TCP client, takes one message, sends it back.

Run it, then client.py in another terminal: python3 server.py [PORT]
"""
import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345

server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server_socket.bind(("localhost", port))
server_socket.listen()
port = server_socket.getsockname()[1]
print(f"Server is listening on port {port}...", flush=True)

connection, client = server_socket.accept()
print(f"Connected by {client}", flush=True)

# One recv gives what has come. That it is one whole message is luck: see lesson 7.
message = connection.recv(1024)
if not message:
    sys.exit(f"recv {client}: end of stream before any byte")
# repr shows bytes as \x1b that a terminal would obey.
print(f"Received: {repr(message)[2:-1]}", flush=True)

connection.sendall(b"Echo: " + message)
connection.close()
server_socket.close()
