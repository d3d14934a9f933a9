"""tcp-client-user-timeout in Python: how long what was sent may stay unacknowledged."""

import socket
import sys
import time

LIMIT_MS = 500

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LIMIT_MS)
client.connect(("10.77.0.2", 12345))
for word in ("one", "two"):
    client.sendall(word.encode())
    start = time.monotonic()
    try:
        echo = client.recv(1024).decode()
    except OSError as error:
        milliseconds = (time.monotonic() - start) * 1000
        print(f"{word}: given up after {milliseconds:.1f} ms; the limit was {LIMIT_MS}ms")
        sys.exit(str(error))
    print(f"{word}: {echo}", flush=True)
