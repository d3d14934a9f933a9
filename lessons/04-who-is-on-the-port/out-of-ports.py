"""A client that uses up its ports: python3 out-of-ports.py"""
import errno
import socket
import struct

IP_LOCAL_PORT_RANGE = 51  # Linux 6.3; Python has no name for it yet
FIRST, LAST = 45000, 45009

listener = socket.create_server(("0.0.0.0", 0))
port = listener.getsockname()[1]


def connect(host):
    """Connects with an ephemeral port from a range of ten."""
    client = socket.socket()
    ports = struct.pack("I", LAST << 16 | FIRST)
    client.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, ports)
    client.connect((host, port))
    return client, listener.accept()[0]


connections = [connect("127.0.0.1") for _ in range(10)]
try:
    connections.append(connect("127.0.0.1"))
except OSError as error:
    print("ten are open, the eleventh:", errno.errorcode[error.errno])
connections.append(connect("127.0.0.2"))
print("to another address: connected")

# Whoever closes first keeps the port in TIME-WAIT.
for client, server in connections:
    client.close()
    server.close()
try:
    for _ in range(10_000):
        client, server = connect("127.0.0.1")
        client.close()
        server.close()
except OSError as error:
    print("none is open, ten have closed first:", errno.errorcode[error.errno])
