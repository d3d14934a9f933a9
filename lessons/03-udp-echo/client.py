"""Sends one UDP datagram and waits a second for the reply.

Start server.py first, in another terminal: python3 client.py [PORT]
"""
import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345
server = ("127.0.0.1", port)

client_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client_socket.settimeout(1)  # A lost datagram is lost in silence.
client_socket.sendto(b"Hello UDP Server", server)

try:
    sender = None
    while sender != server:  # Anyone may send to our port: take no stranger's word.
        reply, sender = client_socket.recvfrom(65535)
except TimeoutError:
    sys.exit(f"recvfrom {server}: no reply within a second; is the server running?")
# repr shows bytes as \x1b that a terminal would obey.
print(f"Server says: {repr(reply)[2:-1]}", flush=True)

client_socket.close()
