"""Bind a port again that a connection has just left: four cases of SO_REUSEADDR, and a fifth."""

import errno
import socket


def bind(address, reuse):
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    bound.bind(address)
    return bound


def second_start(old, new, first_to_close):
    listener = bind(("127.0.0.1", 0), old)
    listener.listen()
    address = listener.getsockname()
    client = socket.create_connection(address)
    connection, _ = listener.accept()
    listener.close()
    if first_to_close == "server":
        connection.close(), client.recv(1), client.close()
    else:
        client.close(), connection.recv(1), connection.close()
    try:
        bind(address, new).close()
        return "succeeds"
    except OSError as error:
        return errno.errorcode[error.errno]


print("server closes first, old and new:", second_start(1, 1, "server"))
print("server closes first, old alone:  ", second_start(1, 0, "server"))
print("server closes first, new alone:  ", second_start(0, 1, "server"))
print("server closes first, neither:    ", second_start(0, 0, "server"))
print("client closes first, neither:    ", second_start(0, 0, "client"))
