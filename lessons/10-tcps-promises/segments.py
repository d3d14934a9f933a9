"""Sends this many full segments when the server says go: python3 segments.py 6"""

import socket
import sys

# What a packet of 1500 bytes carries: less 20 for IP, 20 for TCP, 12 for its timestamps.
SEGMENT_BYTES = 1448

client = socket.create_connection(("10.77.0.2", 12345))
client.recv(2)
client.send(b"x" * SEGMENT_BYTES * int(sys.argv[1]))
client.shutdown(socket.SHUT_WR)
client.recv(1)
client.close()
print("The server has ended its stream too")
