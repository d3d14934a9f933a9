"""Two listeners on one port: with SO_REUSEPORT, and without."""

import errno
import socket

for option in 0, 1:
    first, second = socket.socket(), socket.socket()
    for listener in first, second:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, option)
    first.bind(("127.0.0.1", 0))
    first.listen()
    try:
        second.bind(first.getsockname())
        second.listen()
        print("SO_REUSEPORT", option, "both listen")
    except OSError as error:
        print("SO_REUSEPORT", option, errno.errorcode[error.errno])
