"""Sends every UDP datagram back to whoever sent it, until Ctrl-C.

Run it, then client.py in another terminal: python3 server.py [PORT]
"""
import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345

server_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server_socket.bind(("localhost", port))
port = server_socket.getsockname()[1]
print(f"Server is waiting for datagrams on port {port}...", flush=True)

try:
    while True:
        # One recvfrom gives one datagram; none is larger than 65,535 bytes.
        message, client = server_socket.recvfrom(65535)
        # repr shows bytes as \x1b that a terminal would obey.
        print(f"Received from {client}: {repr(message)[2:-1]}", flush=True)
        try:
            server_socket.sendto(b"Echo: " + message, client)
        except OSError as error:  # Too long, say. The next client is none the worse.
            print(f"sendto {client}: {error}", file=sys.stderr)
except KeyboardInterrupt:
    pass

server_socket.close()
