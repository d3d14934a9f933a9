"""A connection that is reset while it waits for accept."""

import errno
import socket
import struct

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
# To linger for zero seconds means: close with RST, not with FIN (lesson 9).
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()

connection, peer = listener.accept()
print("accept gave a socket, and the peer", peer)
for call in (connection.getpeername, lambda: connection.recv(1)):
    try:
        call()
    except OSError as error:
        print(errno.errorcode[error.errno])
