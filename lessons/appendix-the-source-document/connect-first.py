# Points 7 and 8: what a client needs to connect is listen, and only listen.
import errno
import socket


def connect():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(listener.getsockname())
    except OSError as error:
        return errno.errorcode[error.errno]
    return "connected"


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
print("after bind:  ", connect())

listener.listen()
print("after listen:", connect(), "(nobody has called accept)")
