"""Two small writes and a read: python3 two-writes.py"""
import socket
import statistics
import threading
import time


def serve():
    """Answers each message of ten bytes, however it is cut."""
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while connection.recv(10, socket.MSG_WAITALL):
        connection.sendall(b"ok")


def exchange(name, client, *parts):
    times = []
    for _ in range(21):
        start = time.perf_counter()
        for part in parts:
            client.send(part)
        client.recv(2, socket.MSG_WAITALL)
        times.append((time.perf_counter() - start) * 1000)
    median = statistics.median(times)
    side = "more" if median > 20 else "less"
    print(f"{name}  {side} than 20 ms ({median:.2f} ms)")


for name, parts, no_delay in [
    ("write, write, read           ", (b"Hello", b"World"), 0),
    ("one write, read              ", (b"HelloWorld",), 0),
    ("write, write, read, no delay ", (b"Hello", b"World"), 1),
]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        client = socket.create_connection(listener.getsockname())
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
        exchange(name, client, *parts)
        client.close()
