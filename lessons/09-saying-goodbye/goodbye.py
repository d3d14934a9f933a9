"""The ways to end a connection, and what the other end sees: python3 goodbye.py"""
import socket
import struct


def pair():
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    theirs.settimeout(10)
    return ours, theirs


def recv(connection):
    try:
        print("    recv:", connection.recv(1024) or "b'', end of stream")
    except ConnectionError as error:
        print("    recv:", type(error).__name__)


def wait_for_reset(connection):
    """Asks until the kernel no longer knows a peer."""
    try:
        while connection.getpeername():
            pass
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", 0))

print("close, with everything received:")
ours, theirs = pair()
ours.close()
recv(theirs)

print("send after the peer has closed:")
theirs.send(b"first")
wait_for_reset(theirs)
try:
    theirs.send(b"second")
except BrokenPipeError as error:
    print("    send:", type(error).__name__)

print("half-close:")
ours, theirs = pair()
ours.shutdown(socket.SHUT_WR)
recv(theirs)
theirs.send(b"Reply")
recv(ours)

print("close, with bytes unread:")
ours, theirs = pair()
theirs.send(b"Reply")
ours.recv(1, socket.MSG_PEEK)
ours.close()
recv(theirs)

print("SO_LINGER of 0 seconds, then close:")
ours, theirs = pair()
ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
ours.close()
recv(theirs)
recv(theirs)
