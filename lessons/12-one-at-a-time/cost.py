"""A hundred clients: how many more threads does the server have, and how much more memory?"""
import os
import re
import socket
import subprocess


def client():
    connection = socket.create_connection(("127.0.0.1", 12345))
    connection.sendall(b"x")
    connection.recv(1)  # Now the server has made whatever it makes for this client.
    return connection


def kib():
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s*(\d+) kB", status.read())[1])


listing = subprocess.run(
    ["ss", "-Hltnp", "sport = :12345"], capture_output=True, text=True
).stdout
pid = re.search(r"pid=(\d+)", listing)[1]
first = client()
threads, before = len(os.listdir(f"/proc/{pid}/task")), kib()
clients = [client() for _ in range(100)]
print("more threads:", len(os.listdir(f"/proc/{pid}/task")) - threads)
each = (kib() - before) / 100
bound = 1
while bound <= each:
    bound *= 2
print(f"memory for each: less than {bound} KiB")
