"""Deposits what it is asked to, each time it is asked. Dealing with a request that comes twice is
yours."""
import os
import socket

address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
balance = 0

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(address)
    while True:
        datagram, client = server.recvfrom(2048)
        number, _, amount = datagram.partition(b" deposit ")
        # Your part: what is a good request? Has this one been here before?
        if amount.isdigit():
            balance += int(amount)
            server.sendto(b"%s balance %d" % (number, balance), client)
