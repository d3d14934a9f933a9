"""A server that is told to end: it accepts nobody new, and lets its client finish."""

import os
import select
import signal
import socket
import threading


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


# A handler that raises an exception would not do: if the signal comes just before accept,
# accept waits all the same. A byte in this socket stays there until select looks.
signalled, wakeup = socket.socketpair()
wakeup.setblocking(False)
signal.set_wakeup_fd(wakeup.fileno())
signal.signal(signal.SIGTERM, lambda _signal, _frame: None)

listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
closing = threading.Event()
connections, threads = [], []
threading.Thread(target=client).start()

while True:
    ready, _, _ = select.select([listener, signalled], [], [])
    if listener not in ready:
        break
    # Whoever connected before the signal is served.
    connection, _ = listener.accept()
    connections.append(connection)
    threads.append(threading.Thread(target=serve, args=[connection], daemon=True))
    threads[-1].start()
closing.set()
listener.close()

for connection in connections:
    connection.shutdown(socket.SHUT_WR)
for thread in threads:
    thread.join(timeout=10)
print("server:", "cut off" if any(t.is_alive() for t in threads) else "all have finished")
