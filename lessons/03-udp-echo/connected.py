"""Sends a datagram to a port where nobody is, from a socket without a peer and from one with."""

import errno
import socket

NOBODY = ("127.0.0.1", 12345)


def wait_for_reply(what, udp):
    udp.settimeout(0.05)
    try:
        udp.recv(65535)
    except socket.timeout:
        print(f"{what:14} silence")
    except OSError as error:
        print(f"{what:14} {errno.errorcode[error.errno]}")


without_peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
without_peer.sendto(b"Hello", NOBODY)
wait_for_reply("without a peer", without_peer)

with_peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
with_peer.connect(NOBODY)
with_peer.send(b"Hello")
wait_for_reply("with a peer", with_peer)
