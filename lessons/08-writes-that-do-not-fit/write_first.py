"""WRONG: sends a whole stream before it receives any of its echo.

Start the server first: python3 write_first.py [PORT]
"""
import socket
import sys

port = int(sys.argv[1]) if len(sys.argv) > 1 else 12345
client = socket.create_connection(("127.0.0.1", port))
# In Python the timeout of sendall is for the whole of it, not for one send.
client.settimeout(0.5)
try:
    client.sendall(bytes(64 << 20))
except TimeoutError as error:
    sys.exit(f"sendall: {error}")
