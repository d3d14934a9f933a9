"""Tells each client both addresses of its connection."""
import os
import socket

port = int(os.environ.get("PORT", "12345"))


def shown(address):
    return "{}:{}".format(*address)


def tell(connection, peer):
    local = connection.getsockname()
    connection.sendall(f"local {shown(local)} peer {shown(peer)}\n".encode())
    connection.shutdown(socket.SHUT_WR)
    # What the client sent must be read before close(2), or the kernel resets the
    # connection, and the line may be lost. Read only what has arrived: the client may stay.
    connection.setblocking(False)
    try:
        while connection.recv(1024):
            pass
    except BlockingIOError:
        pass


# create_server sets SO_REUSEADDR: without it, the connections that we close first would keep
# the port from the next server for a minute.
with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        # The peer's address is the one that accept(2) returns. getpeername(2) would fail for a
        # client that is gone already.
        connection, peer = listener.accept()
        with connection:
            try:
                tell(connection, peer)
            except OSError as error:  # One client's trouble is not the next one's.
                print(f"tell {peer}: {error}", flush=True)
