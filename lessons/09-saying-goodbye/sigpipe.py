"""Does what a C program does by default: it lets SIGPIPE end it."""

import signal
import socket

# Python ignores the signal from its start on. Here it has its own meaning again.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)

listener = socket.create_server(("127.0.0.1", 0))
ours = socket.create_connection(listener.getsockname())
theirs, _ = listener.accept()
theirs.close()

ours.send(b"first")
print("the first send: taken", flush=True)

# The reset has come when the kernel knows no peer any more.
try:
    while ours.getpeername():
        pass
except OSError:
    pass
ours.send(b"second")
print("the second send: taken")
