"""Receives a datagram, and says how long it is: python3 large.py"""
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("10.77.0.2", 12345))
print("Server is waiting for datagrams on port 12345...", flush=True)
datagram, client = server.recvfrom(65535)
print("Received", len(datagram), "bytes", flush=True)
server.sendto(b"Thank you", client)
