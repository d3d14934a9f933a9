"""Two UDP sockets on one port: python3 shared-port.py"""
import errno
import socket


def server(address, reuse):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
    udp.bind(address)
    udp.setblocking(False)
    return udp


for reuse in 0, 1:
    first = server(("127.0.0.1", 0), reuse)
    try:
        second = server(first.getsockname(), reuse)
    except OSError as error:
        print("SO_REUSEADDR", reuse, errno.errorcode[error.errno])

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b"Hello", first.getsockname())
for name, udp in ("first", first), ("second", second):
    try:
        print("SO_REUSEADDR 1", name, udp.recv(1024))
    except BlockingIOError:
        print("SO_REUSEADDR 1", name, "nothing")
