"""A UDP echo client. It sends; waiting for the reply, but not for ever, is yours."""
import os
import socket

server = ("127.0.0.1", int(os.environ.get("PORT", "12345")))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.sendto(b"Hello UDP Server", server)
    # Your part: receive the reply and print it after `Server says: `. Who
    # sent it? And if none comes within a second?
