"""tcp-client-transfer in Python: python3 transfer.py 8000"""

import socket
import sys
import time

client = socket.create_connection(("10.77.0.2", 12345))
start = time.monotonic()
client.sendall(b"x" * int(sys.argv[1]))
client.shutdown(socket.SHUT_WR)
count = client.recv(64).decode()
milliseconds = (time.monotonic() - start) * 1000
print(f"The server received {count} bytes; {milliseconds:.1f} ms")
