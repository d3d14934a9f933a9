"""Looks up a name that nobody can have (RFC 6761 §6.4), and an address, which needs no look-up."""

import socket

for host in ("nobody.invalid", "127.0.0.1"):
    try:
        found = socket.getaddrinfo(host, 12345, type=socket.SOCK_STREAM)
        print(host, "gives", found[0][4])
    except socket.gaierror as error:
        print(host, "gives", type(error).__name__)
