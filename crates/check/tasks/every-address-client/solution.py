"""Tries every address in turn and takes the first that works."""
import os
import socket
import sys

WITHIN = 0.5  # seconds; the kernel's own limit for connect(2) is about two minutes
port = int(os.environ.get("PORT", "12345"))

for host in os.environ.get("HOSTS", "127.0.0.1").split(","):
    try:
        # The socket's family is that of the address.
        with socket.create_connection((host, port), timeout=WITHIN) as connection:
            connection.sendall(b"Hello\n")
            print(f"connected to {host}")
            break
    except OSError as error:
        # Refused, timed out, no route, an address family that we do not have: whatever it is, the
        # next address may work.
        print(f"connect {host}: {error}", file=sys.stderr)
else:
    sys.exit(1)
