"""tcp-client-sealed in Python, with the standard library's SHA-256 in front of the message."""

import hashlib
import socket
import sys

MESSAGE = b"pay 100 to 0042."

client = socket.create_connection(("10.77.0.2", 12345))
for attempt in range(1, 4):
    client.sendall(hashlib.sha256(MESSAGE).digest() + MESSAGE)
    answer = client.recv(64).decode()
    print(f"Attempt {attempt}: {answer}")
    if answer == "whole":
        break
else:
    sys.exit("Damaged three times; is the wire broken?")
