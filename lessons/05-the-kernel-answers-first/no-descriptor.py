"""accept when no file descriptor is left: python3 no-descriptor.py"""
import errno
import os
import resource
import select
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
spare = open(os.devnull)
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno() + 1, hard))

for _ in range(2):
    ready, _, _ = select.select([listener], [], [], 10)
    try:
        listener.accept()
    except OSError as error:
        print("ready:", listener in ready, "accept:", errno.errorcode[error.errno])

spare.close()
connection, peer = listener.accept()
print("one descriptor is closed, accept:", peer)
