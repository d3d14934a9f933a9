"""The heart of udp-server-once, in Python: the last reply to each client, and its number."""

import signal
import socket

# Ctrl-C ends this program without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.77.0.2", 12345))
print("Server is waiting for datagrams on port 12345...", flush=True)
balance = 0
remembered = {}
while True:
    request, client = server.recvfrom(1024)
    number, _, amount = request.decode().split()
    last, reply = remembered.get(client, (None, b""))
    if last == number:
        print(f"Request {number} again: the same reply", flush=True)
    else:
        balance += int(amount)
        reply = f"{number} balance {balance}".encode()
        print(f"Request {number}: deposited {amount}, balance {balance}", flush=True)
    remembered[client] = number, reply
    server.sendto(reply, client)
