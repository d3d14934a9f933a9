"""Says `stored` only when the server's program has said so."""
import os
import socket
import sys
import time

WITHIN = 1.0  # seconds
port = int(os.environ.get("PORT", "12345"))
until = time.monotonic() + WITHIN

try:
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN) as connection:
        # When this returns, our kernel has the line. The server's kernel may have it.
        # Only its answer says whether its program has it.
        connection.sendall(b"store one\n")

        answer = b""
        while len(answer) < 3:
            connection.settimeout(max(until - time.monotonic(), 0.001))
            piece = connection.recv(3 - len(answer))
            if not piece:
                sys.exit("the server closed before it said ok")
            answer += piece
except OSError as error:
    sys.exit(f"ask the server: {error}")
if answer != b"ok\n":
    sys.exit("the server did not say ok")
print("stored")
