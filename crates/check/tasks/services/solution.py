"""The small services of RFC 862 to 868, over TCP and UDP: python3 solution.py rfc862"""
import errno
import os
import socket
import struct
import sys
import threading
import time

FROM_1900_TO_1970 = 2_208_988_800  # seconds
RING = bytes(range(32, 127))
port = int(os.environ.get("PORT", "12345"))


def seconds():
    return struct.pack(">I", (int(time.time()) + FROM_1900_TO_1970) % 2**32)


def date():
    return time.strftime("%A, %B %d, %Y %H:%M:%S\r\n", time.gmtime()).encode("ascii")


def discard(connection):
    while connection.recv(16384):
        pass


def echo(connection):
    while piece := connection.recv(16384):
        connection.sendall(piece)


def chargen(connection):
    # Discard what comes in the meantime, or the client's send would block for ever.
    threading.Thread(target=quietly, args=(discard, connection), daemon=True).start()
    start = 0
    while True:
        connection.sendall((RING + RING)[start:start + 72] + b"\r\n")
        start = (start + 1) % len(RING)


def once(answer):
    def service(connection):
        connection.sendall(answer())
        connection.shutdown(socket.SHUT_WR)
        discard(connection)  # A close with bytes unread would be a reset.
    return service


STREAMS = {"rfc862": echo, "rfc863": discard, "rfc864": chargen,
           "rfc867": once(date), "rfc868": once(seconds)}
DATAGRAMS = {"rfc862-udp": lambda message: message, "rfc863-udp": lambda _: None,
             "rfc864-udp": lambda _: RING, "rfc867-udp": lambda _: date(),
             "rfc868-udp": lambda _: seconds()}


def quietly(service, connection):
    try:
        service(connection)
    except OSError:
        pass  # The client is gone.


def serve(service, connection):
    with connection:
        quietly(service, connection)


def stream(service):
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    raise
                time.sleep(0.01)  # No descriptor is free: the listener stays readable.
                continue
            threading.Thread(target=serve, args=(service, connection), daemon=True).start()


def datagrams(service):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))
        while True:
            message, client = server.recvfrom(65535)
            answer = service(message)
            if answer is not None:
                try:
                    server.sendto(answer, client)
                except OSError:
                    pass  # One reply that cannot be sent stops no other.


name = sys.argv[1] if len(sys.argv) > 1 else "rfc862"
if name in STREAMS:
    stream(STREAMS[name])
elif name in DATAGRAMS:
    datagrams(DATAGRAMS[name])
else:
    sys.exit(f"{name}: no such service; there are {', '.join([*STREAMS, *DATAGRAMS])}")
