"""Try every address that the names give, one after another, until one answers."""

import socket
import sys

listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]

for host in sys.argv[1:]:
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        client = socket.socket(family, kind)
        client.settimeout(1)
        try:
            client.connect(address)
            sys.exit(print("connected to", address))
        except OSError as error:
            print(address, error.strerror or error)
