"""Measures how long a server takes to reply. One thread sends each request when it is due, another one
receives the replies, and neither waits for the other."""
import os
import socket
import sys
import threading
import time

port = int(os.environ.get("PORT", "12345"))
count = int(os.environ.get("COUNT", "1000"))
rate = int(os.environ.get("RATE", "500"))
latencies = []


def send(connection, start):
    try:
        for number in range(count):
            time.sleep(max(start + number / rate - time.monotonic(), 0))
            connection.sendall(b"%d\n" % number)
    except OSError:
        pass  # The other thread sees it, too.


with socket.create_connection(("127.0.0.1", port)) as connection:
    # A request that is due goes out at once, whatever is still on its way.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = time.monotonic()
    threading.Thread(target=send, args=(connection, start), daemon=True).start()
    reader = connection.makefile("rb")
    for number in range(count):
        if not reader.readline():
            sys.exit(f"the server ended its stream after {number} replies")
        # From when it was due, not from when it was sent.
        latencies.append(time.monotonic() - (start + number / rate))

latencies.sort()
print("replies", len(latencies))
for name, percent in ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100):
    place = -(-count * percent // 100) - 1
    print(f"{name} {latencies[place] * 1000:.3f}")
