"""A server that wants a port that a client already has."""

import errno
import socket

somebody = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(somebody.getsockname())

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    server.bind(client.getsockname())
except OSError as error:
    print(client.getsockname(), errno.errorcode[error.errno])
