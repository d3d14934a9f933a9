"""tcp-client-keepalive in Python: three numbers, and the kernel does the asking."""

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(("10.77.0.2", 12345))
client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
client.sendall(b"subscribe")
print("News:", client.recv(1024).decode())
try:
    client.recv(1024)
except TimeoutError as error:
    print(error)
    sys.exit(1)
