"""A client that sends again when no reply has come, at most three times."""
import socket
import sys

server = ("127.0.0.1", 12345)
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(0.2)  # A second, say, on a network.
reply = None
for attempt in range(3):
    client.sendto(b"Hello", server)
    try:
        reply = client.recv(65535)
        break
    except socket.timeout:
        print("no reply; sent", attempt + 1, "times")
if reply is None:
    sys.exit("nobody answers")
print(reply)
