"""Sends as many bytes as a client asks for. Each client has a thread, so that one that does not
read stops no other; and each thread has one small piece, sent again and again, so that memory
does not grow with what is asked for."""
import os
import socket
import threading

MOST = 100_000_000
PIECE = b"abcdefghijklmnopqrstuvw" * 1000
port = int(os.environ.get("PORT", "12345"))


def request(connection):
    """Returns the number in the client's line, or None if there is none."""
    line = b""
    while not line.endswith(b"\n"):
        # Reading byte by byte is slow, but takes nothing beyond the line.
        byte = connection.recv(1)
        if not byte or len(line) == 10:
            return None
        line += byte
    digits = line[:-1]
    # For str, isdigit accepts more than these ten digits; for bytes it does not.
    if not digits.isdigit() or int(digits) > MOST:
        return None
    return int(digits)


def serve(connection, client):
    with connection:
        try:
            left = request(connection) or 0
            while left > 0:
                # sendall waits for a client that does not read: here, in its own thread.
                connection.sendall(PIECE[:left])
                left -= min(left, len(PIECE))
        except OSError as error:
            print(f"serve {client}: {error}", flush=True)


with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
    while True:
        threading.Thread(target=serve, args=listener.accept(), daemon=True).start()
