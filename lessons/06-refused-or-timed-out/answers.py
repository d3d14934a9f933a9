"""A port where nobody listens, and one whose queue is full: refused, and no answer."""

import socket
import time

kept = []


def connect(server):
    start = time.perf_counter()
    try:
        kept.append(socket.create_connection(server, timeout=0.1))
        answer = "connected"
    except ConnectionRefusedError:
        answer = "refused"
    except socket.timeout:
        answer = "no answer"
    return f"{answer} after {(time.perf_counter() - start) * 1000:.1f} ms"


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
print("bound, not listening:", connect(listener.getsockname()))
listener.listen(0)
print("listening:           ", connect(listener.getsockname()))
print("the queue is full:   ", connect(listener.getsockname()))
