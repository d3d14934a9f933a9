"""tcp-client-words in Python: one word, its echo, the next, and how long each took."""

import socket
import sys
import time

client = socket.create_connection(("10.77.0.2", 12345))
for word in sys.argv[1:] or ("one", "two", "three"):
    start = time.monotonic()
    client.sendall(word.encode())
    try:
        echo = client.recv(1024).decode()
    except OSError as error:
        sys.exit(f"{word}: {error}")
    milliseconds = (time.monotonic() - start) * 1000
    print(f"{word}: {echo} after {milliseconds:.1f} ms", flush=True)
client.close()
