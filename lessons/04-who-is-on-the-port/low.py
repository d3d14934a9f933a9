"""An ordinary user, and a port that is kept for the system."""

import errno
import socket

with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as setting:
    first = int(setting.read())
print("free for everybody: from", first)

for port in (first - 1, first):
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        server.bind(("127.0.0.1", port))
        print("port", port, "bound")
    except OSError as error:
        print("port", port, errno.errorcode[error.errno])
