"""Connects to a TCP server, sends one message, shows the reply.

Start server.py first, in another terminal: python3 client.py [PORT]
"""
import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345
message = b"Hello TCP Server"

client_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client_socket.connect(("localhost", port))
client_socket.sendall(message)

# The reply may come in pieces: receive until it is whole, or the server has closed.
expected = len(b"Echo: ") + len(message)
reply = b""
while len(reply) < expected and (piece := client_socket.recv(1024)):
    reply += piece
# repr shows bytes as \x1b that a terminal would obey.
print(f"Server says: {repr(reply)[2:-1]}", flush=True)

client_socket.close()
if len(reply) < expected:
    sys.exit(f"recv: end of stream after {len(reply)} of {expected} bytes")
