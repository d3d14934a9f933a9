"""A UDP echo client: it sends one datagram and waits one second for the reply."""
import os
import socket
import sys

server = ("127.0.0.1", int(os.environ.get("PORT", "12345")))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    # A connected socket accepts only the server's datagrams, and is told if nobody is there.
    client.connect(server)
    client.settimeout(1)
    try:
        client.send(b"Hello UDP Server")
        reply = client.recv(65507)
    except OSError as error:
        sys.exit(f"no reply: {error}")
# Escape what a terminal would obey.
shown = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in reply)
print(f"Server says: {shown}")
