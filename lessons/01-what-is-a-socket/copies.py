"""A stream ends with the last descriptor that stands for it: python3 copies.py"""
import os
import socket


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.settimeout(10)
    return ours, theirs


ours, theirs = pair()
copy = os.dup(ours.fileno())
ours.close()
theirs.setblocking(False)
try:
    print("one of two is closed: ", theirs.recv(1024))
except BlockingIOError:
    print("one of two is closed:  nothing, and no end of stream")
theirs.settimeout(10)
os.close(copy)
print("both are closed:      ", theirs.recv(1024))

ours, theirs = pair()
copy = os.dup(ours.fileno())
ours.shutdown(socket.SHUT_WR)
print("shutdown through one: ", theirs.recv(1024))
