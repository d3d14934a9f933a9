"""udp-both-ends-loop in Python: two echo servers that one datagram keeps busy."""

import socket

LIMIT = 10_000

one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
for server in (one, other):
    server.bind(("127.0.0.1", 0))
# The forged datagram: it seems to come from the other server.
other.sendto(b"hello", one.getsockname())
echoes = 0
while echoes < LIMIT:
    for server in (one, other):
        data, sender = server.recvfrom(64)
        server.sendto(data, sender)
        echoes += 1
print(f"{echoes} echoes of one datagram; stopped by our own limit")
