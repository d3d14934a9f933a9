"""More datagrams than the receive buffer holds: python3 flood.py"""
import socket

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.setblocking(False)

sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(10_000):
    sender.sendto(b"%d" % number, receiver.getsockname())
print("10000 sent, without an error")

received = []
try:
    while True:
        received.append(int(receiver.recv(1024)))
except BlockingIOError:
    pass
print("received:", "fewer than 1000" if len(received) < 1000 else "1000 or more")
print("the first of them:", received == list(range(len(received))))
