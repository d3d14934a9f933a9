"""The heart of udp-client-retry, in Python: a number, a deadline, and patience that doubles."""

import socket

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("10.77.0.2", 12345))
wait = 0.2
for attempt in range(1, 6):
    client.send(b"1 deposit 100")
    client.settimeout(wait)
    try:
        reply = client.recv(1024)
    except TimeoutError:
        print("No reply; again")
        wait *= 2
        continue
    print("Reply:", reply.decode(), f"(attempt {attempt})")
    break
