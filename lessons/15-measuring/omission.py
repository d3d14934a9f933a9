"""One server that stands still for 0.3 s, measured in two ways."""
import socket
import threading
import time

ADDRESS = ("127.0.0.1", 12345)
listener = socket.create_server(ADDRESS)


def serve():
    """Echoes, and once, half a second after the first byte, it does nothing for 0.3 s."""
    connection, _ = listener.accept()
    with connection:
        words, start, stood = connection.recv(100), time.monotonic(), False
        while words:
            if not stood and time.monotonic() - start > 0.5:
                stood = True
                time.sleep(0.3)
            connection.sendall(words)
            words = connection.recv(100)


def measure(client, interval):
    """For a second. Without an interval each request waits for the one before (closed loop);
    with one, each has its time, and is late when the server is (open loop)."""
    start = time.monotonic()
    waits, due = [], start
    while due < start + 1:
        while time.monotonic() < due:
            time.sleep(0.001)
        client.sendall(b"x")
        client.recv(100)
        waits.append(time.monotonic() - due)
        due = due + interval if interval else time.monotonic()
    return waits


for name, interval in [("closed loop", 0), ("open loop, 200 a second", 0.005)]:
    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(ADDRESS) as client:
        waits = measure(client, interval)
    thread.join()
    slow = sum(wait > 0.1 for wait in waits)
    share = "more" if slow * 10 > len(waits) else "less"
    print(f"{name}: {share} than 1 in 10 requests took longer than 100 ms")
