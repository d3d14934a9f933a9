"""Measures how long a server takes to reply, one request at a time: when the server stalls, so does the
measurement."""
import os
import socket
import sys
import time

port = int(os.environ.get("PORT", "12345"))
count = int(os.environ.get("COUNT", "1000"))
rate = int(os.environ.get("RATE", "500"))
latencies = []

with socket.create_connection(("127.0.0.1", port)) as connection:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = time.monotonic()
    reader = connection.makefile("rb")
    for number in range(count):
        time.sleep(max(start + number / rate - time.monotonic(), 0))
        # Your part: what has become of the requests that are due while this one waits? And when does a
        # latency begin?
        sent = time.monotonic()
        connection.sendall(b"%d\n" % number)
        if not reader.readline():
            sys.exit(f"the server ended its stream after {number} replies")
        latencies.append(time.monotonic() - sent)

latencies.sort()
print("replies", len(latencies))
for name, percent in ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100):
    place = -(-count * percent // 100) - 1
    print(f"{name} {latencies[place] * 1000:.3f}")
