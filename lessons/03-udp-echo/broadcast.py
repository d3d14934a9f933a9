"""One datagram to everybody, without SO_BROADCAST and with it: python3 broadcast.py"""
import errno
import socket

# The broadcast address of the loopback network: nothing leaves this machine.
EVERYBODY = "127.255.255.255"


def receiver(port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp.bind((EVERYBODY, port))
    udp.settimeout(10)
    return udp


first = receiver(0)
address = first.getsockname()
second = receiver(address[1])

sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for broadcast in 0, 1:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, broadcast)
    try:
        sender.sendto(b"Is anybody there?", address)
        print("SO_BROADCAST", broadcast, "sent")
    except OSError as error:
        print("SO_BROADCAST", broadcast, errno.errorcode[error.errno])
for name, udp in ("first", first), ("second", second):
    print(name, udp.recv(1024))
