"""Four clients say nothing; a fifth wants an answer."""
import socket

silent = [socket.create_connection(("127.0.0.1", 12345)) for _ in range(4)]
fifth = socket.create_connection(("127.0.0.1", 12345))
fifth.sendall(b"hello")
fifth.settimeout(2)
try:
    print("fifth:", fifth.recv(1024))
except TimeoutError:
    print("fifth: nothing within 2 s")
