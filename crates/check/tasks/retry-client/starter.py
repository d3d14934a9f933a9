"""Makes deposits, and waits for each reply for ever: whatever the network loses stops it."""
import os
import socket

server = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
count = int(os.environ.get("COUNT", "3"))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.connect(server)
    for number in range(1, count + 1):
        client.send(b"%d deposit 100" % number)
        # Your part: how long do you wait, for what, and what then? See settimeout.
        print(client.recv(1024).decode())
