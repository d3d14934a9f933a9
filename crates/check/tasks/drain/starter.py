"""Replies to lines, and knows nothing of SIGTERM: what it has taken and not done is lost."""
import os
import socket
import threading

port = int(os.environ.get("PORT", "12345"))


def serve(connection, client):
    with connection, connection.makefile("rb") as reader:
        for line in reader:
            connection.sendall(b"done " + line)


with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
    while True:
        # Your part: the signal. See signal.set_wakeup_fd, and the module selectors.
        threading.Thread(target=serve, args=listener.accept(), daemon=True).start()
