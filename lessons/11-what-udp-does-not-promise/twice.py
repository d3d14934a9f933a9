"""udp-server-twice in Python. Wrong on purpose: it does a request as often as it comes."""

import signal
import socket

# Ctrl-C ends this program without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.77.0.2", 12345))
print("Server is waiting for datagrams on port 12345...", flush=True)
balance = 0
while True:
    request, client = server.recvfrom(1024)
    number, _, amount = request.decode().split()
    balance += int(amount)
    print(f"Request {number}: deposited {amount}, balance {balance}", flush=True)
    server.sendto(f"{number} balance {balance}".encode(), client)
