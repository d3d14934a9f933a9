"""What the peer's kernel has not acknowledged: python3 acknowledged.py"""
import fcntl
import socket
import struct
import termios
import time


def unacknowledged(connection):
    """SIOCOUTQ, tcp(7): bytes in the send queue. It has the number of TIOCOUTQ."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]


listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())

client.sendall(b"Hello TCP Server")
deadline = time.monotonic() + 10
while unacknowledged(client) > 0 and time.monotonic() < deadline:
    pass
print("16 bytes sent, not acknowledged:", unacknowledged(client))

client.setblocking(False)
try:
    while True:
        client.send(bytes(100_000))
except BlockingIOError:
    pass
print("as many as fit, not acknowledged:", "some" if unacknowledged(client) else 0)
print("accept has not been called")
