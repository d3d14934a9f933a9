"""tcp-client-words in Python: one word, its echo, the next; and which of them was late."""

import socket
import time

client = socket.create_connection(("10.77.0.2", 12345))
for word in ("one", "two", "three"):
    start = time.monotonic()
    client.sendall(word.encode())
    echo = client.recv(1024).decode()
    late = ", late" if time.monotonic() - start > 0.15 else ""
    print(f"{word}: {echo}{late}")
client.close()
