"""A server that is told to end: it takes nobody any more, and lets its client finish."""

import os
import signal
import socket
import threading


class Closing(Exception):
    """Raised by the signal's handler, it wakes accept."""


def close(_signal, _frame):
    raise Closing


def serve(connection):
    while message := connection.recv(1024):
        print("server:", message)
        if not closing.is_set():
            connection.sendall(b"Got it")


def client():
    connection = socket.create_connection(address)
    connection.sendall(b"half a mess")
    connection.recv(1024)
    os.kill(os.getpid(), signal.SIGTERM)
    print("client:", connection.recv(1024), "is the server's goodbye")
    try:
        socket.create_connection(address)
    except ConnectionRefusedError:
        print("client: another connection is refused")
    connection.sendall(b"age, whole")
    connection.close()


listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
closing = threading.Event()
connections, threads = [], []
signal.signal(signal.SIGTERM, close)
threading.Thread(target=client).start()

try:
    while True:
        connection, _ = listener.accept()
        connections.append(connection)
        threads.append(threading.Thread(target=serve, args=[connection], daemon=True))
        threads[-1].start()
except Closing:
    closing.set()
    listener.close()

for connection in connections:
    connection.shutdown(socket.SHUT_WR)
for thread in threads:
    thread.join(timeout=10)
print("server:", "cut off" if any(t.is_alive() for t in threads) else "all have finished")
