"""Two servers on one port: on every IPv6 address, and on every IPv4 address."""

import errno
import socket

for only_ipv6 in 0, 1:
    # Port 0 would give '::' a port that is free in IPv6; IPv4 may have it in use.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
        free.bind(("0.0.0.0", 0))
        port = free.getsockname()[1]
    six = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
    six.bind(("::", port))
    six.listen()
    four = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        four.bind(("0.0.0.0", port))
        four.listen()
        print(f"'::' with IPV6_V6ONLY {only_ipv6}, then '0.0.0.0': both listen")
    except OSError as error:
        print(f"'::' with IPV6_V6ONLY {only_ipv6}, then '0.0.0.0':", errno.errorcode[error.errno])
