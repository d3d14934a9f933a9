"""Deposits what it is asked to, once, however often it is asked."""
import os
import re
import socket
import sys

address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
REQUEST = re.compile(rb"([0-9]{1,9}) deposit ([0-9]{1,9})")
balance = 0
# Each client's last number, and the reply to it: a client has one request in progress, so there
# is nothing else that it can ask for again.
last_replies = {}

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(address)
    while True:
        try:
            datagram, client = server.recvfrom(2048)
            request = REQUEST.fullmatch(datagram)
            if not request:
                continue
            number, amount = int(request[1]), int(request[2])
            last, reply = last_replies.get(client, (-1, b""))
            if number < last:
                continue
            if number > last:
                balance += amount
                reply = b"%d balance %d" % (number, balance)
            # Anyone can forge the sender's address of a datagram: memory needs a limit.
            if len(last_replies) >= 100_000:
                last_replies.clear()
            last_replies[client] = number, reply
            server.sendto(reply, client)
        except OSError as error:
            print(f"serve a client: {error}", file=sys.stderr)
