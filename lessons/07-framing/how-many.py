"""How many bytes can be received now? python3 how-many.py"""
import fcntl
import socket
import struct
import termios

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
connection, _ = listener.accept()
client.sendall(b"Hello")
client.sendall(b"World")

# MSG_PEEK looks and takes nothing; with MSG_WAITALL it waits until ten bytes are there.
print("MSG_PEEK:", connection.recv(10, socket.MSG_PEEK | socket.MSG_WAITALL))
# FIONREAD, tcp(7).
count = fcntl.ioctl(connection, termios.FIONREAD, bytes(4))
print("FIONREAD:", struct.unpack("i", count)[0], "bytes")
print("recv(0):", connection.recv(0))
print("recv(1024):", connection.recv(1024))
