"""One client sends and never receives. Does another get its answer?"""
import socket

ADDRESS = ("127.0.0.1", 12345)
full = socket.create_connection(ADDRESS)
full.settimeout(0.2)
sent = 0
try:
    while sent < 100_000_000:
        sent += full.send(bytes(65536))
    print("the server takes everything")
except TimeoutError:
    print("the first: no byte more is taken")
with socket.create_connection(ADDRESS, timeout=10) as client:
    client.sendall(b"hello")
    print("the second:", client.recv(1024))
