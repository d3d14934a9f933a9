"""Looks up a name that nobody can have (RFC 6761 §6.4), and an address, which needs no look-up."""

import os
import socket

# A name server that does not answer is asked once, for a second: resolv.conf(5).
os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"

for host in ("nobody.invalid", "127.0.0.1"):
    try:
        found = socket.getaddrinfo(host, 12345, type=socket.SOCK_STREAM)
        print(host, "gives", found[0][4])
    except socket.gaierror as error:
        print(host, "gives", type(error).__name__)
