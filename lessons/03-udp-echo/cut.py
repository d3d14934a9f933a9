"""A buffer that is shorter than the datagram: python3 cut.py"""
import socket

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.settimeout(10)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.sendto(b"Hello UDP Server", receiver.getsockname())
sender.sendto(b"the next one", receiver.getsockname())

print("recv(5):   ", receiver.recv(5))
message, _, flags, _ = receiver.recvmsg(5)
print("recvmsg(5):", message, "MSG_TRUNC" if flags & socket.MSG_TRUNC else "whole")
