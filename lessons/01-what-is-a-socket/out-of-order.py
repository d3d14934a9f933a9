"""Makes socket calls in the wrong order and prints the error that each one gives."""

import errno
import socket


def new_socket():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def attempt(what, call):
    try:
        call()
    except OSError as error:
        print(f"{what:22} {errno.errorcode[error.errno]}")
    else:
        print(f"{what:22} no error")


attempt("accept without listen", new_socket().accept)
attempt("send without connect", lambda: new_socket().send(b"Hello"))
attempt("recv without connect", lambda: new_socket().recv(1024))

bound = new_socket()
bound.bind(("127.0.0.1", 0))
attempt("bind twice", lambda: bound.bind(("127.0.0.1", 0)))
attempt("connect, nobody there", lambda: new_socket().connect(bound.getsockname()))

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
attempt("connect twice", lambda: client.connect(listener.getsockname()))
attempt("send, UDP, to nobody", lambda: socket.socket(type=socket.SOCK_DGRAM).send(b"Hello"))

bound.close()
attempt("recv after close", lambda: bound.recv(1024))
