"""Three datagrams to the server, and three replies: in which order do they come?"""
import socket

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(10)
for word in [b"one", b"two", b"three"]:
    client.sendto(word, ("127.0.0.1", 12345))
for _ in range(3):
    print(client.recv(65535))
