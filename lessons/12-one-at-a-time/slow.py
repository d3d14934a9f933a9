"""Four clients say a letter from time to time; a fifth wants an answer."""
import select
import socket

slow = [socket.create_connection(("127.0.0.1", 12345)) for _ in range(4)]
fifth = socket.create_connection(("127.0.0.1", 12345))
fifth.sendall(b"hello")
for _ in range(20):
    for client in slow:
        client.sendall(b".")
    if select.select([fifth], [], [], 0.05)[0]:
        print("fifth:", fifth.recv(1024))
        break
else:
    print("fifth: nothing, and each of the others has had 20 letters back")
