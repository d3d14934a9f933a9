"""The kernel's own patience with a full window: python3 user-timeout.py"""
import errno
import socket
import time

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)

start = time.monotonic()
try:
    while True:
        client.send(bytes(100_000))
except OSError as error:
    elapsed = (time.monotonic() - start) * 1000
    print(f"send: {errno.errorcode[error.errno]} after {elapsed:.1f} ms")
try:
    client.send(b"more")
except OSError as error:
    print(f"send: {errno.errorcode[error.errno]}")
