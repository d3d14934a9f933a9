"""A proxy that copies both ways: two threads per client, one for each direction."""
import os
import socket
import sys
import threading

port = int(os.environ.get("PORT", "12345"))
upstream = int(os.environ.get("UPSTREAM", "12346"))


def close(connection):
    """Ends both directions at once, which also wakes up whoever waits for one."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def copy(source, sink):
    """Passes on everything from one side, and then its end."""
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        # The other direction is still open: half-close.
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One of the two is gone. The other direction, which may be waiting, must notice.
        close(source)
        close(sink)


def serve(client):
    with client:
        try:
            server = socket.create_connection(("127.0.0.1", upstream))
        except OSError as error:
            print(f"connect to port {upstream}: {error}", file=sys.stderr)
            return
        with server:
            there = threading.Thread(target=copy, args=(client, server))
            there.start()
            copy(server, client)
            there.join()


with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()
