"""Fills a connection until send takes no more: python3 full.py"""
import socket

with socket.create_server(("127.0.0.1", 0)) as listener:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()

message = b"x" * 100_000_000
client.setblocking(False)
taken = client.send(message)
print("send:", "all" if taken == len(message) else "a part")
try:
    while True:
        taken += client.send(message[taken:])
except BlockingIOError as error:
    print(f"send again and again: {type(error).__name__}")

server.settimeout(10)
left = taken
while left > 0:
    left -= len(server.recv(65536))
print("recv: all that was taken")
client.close()
server.close()
