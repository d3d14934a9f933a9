"""A client that sends its two messages one byte at a time, and receives to the end."""
import socket

client = socket.create_connection(("127.0.0.1", 12345))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for byte in b"one\ntwo\n":
    client.sendall(bytes([byte]))
client.shutdown(socket.SHUT_WR)
replies = b""
while piece := client.recv(1024):
    replies += piece
print(replies)
