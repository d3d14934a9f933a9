"""Says go, and leaves all that arrives in its kernel until the stream has ended."""

import select
import signal
import socket

# Ctrl-C ends this program without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)
listener = socket.create_server(("10.77.0.2", 12345))
print("Server is listening on port 12345...", flush=True)
while True:
    connection, _ = listener.accept()
    connection.send(b"go")
    # poll(2) looks, and takes nothing: until the peer's FIN has come (POLLRDHUP).
    end = select.poll()
    end.register(connection, select.POLLRDHUP)
    end.poll()
    print("Received", len(connection.recv(1 << 20)), "bytes", flush=True)
    connection.close()
