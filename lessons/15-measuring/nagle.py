"""An answer in two pieces, with and without TCP_NODELAY."""
import socket
import threading
import time

listener = socket.create_server(("127.0.0.1", 12345))


def serve(no_delay):
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, no_delay)
        while words := connection.recv(100):
            connection.sendall(words[:1])
            connection.sendall(words[1:])


for no_delay in (0, 1):
    thread = threading.Thread(target=serve, args=[no_delay])
    thread.start()
    with socket.create_connection(("127.0.0.1", 12345)) as client:
        waits = []
        for _ in range(40):
            start = time.monotonic()
            client.sendall(b"hello")
            while len(client.recv(100, socket.MSG_PEEK)) < 5:
                time.sleep(0.0001)
            client.recv(100)
            waits.append(time.monotonic() - start)
    thread.join()
    # At first every piece is acknowledged at once.
    middle = sorted(waits[20:])[10]
    print(f"TCP_NODELAY {no_delay}: half of the answers take {'more' if middle > 0.02 else 'less'} than 20 ms")
