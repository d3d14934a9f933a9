# Point 11: a server without SO_REUSEADDR ends, and wants its port again.
import errno
import socket
import time


def listen(address):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    return listener


def start_again(server_closes_first):
    listener = listen(("127.0.0.1", 0))
    address = listener.getsockname()
    client = socket.create_connection(address)
    connection, _ = listener.accept()
    first, second = (connection, client) if server_closes_first else (client, connection)
    first.close()
    second.recv(1)  # waits for the end of the stream
    second.close()
    listener.close()
    # The last acknowledgement may be under way: for a moment the port is busy in any case.
    deadline = time.monotonic() + 0.1
    while True:
        try:
            listen(address)
            return "it starts"
        except OSError as error:
            if time.monotonic() > deadline:
                return errno.errorcode[error.errno]


print("the server closed first:", start_again(True))
print("the client closed first:", start_again(False))
