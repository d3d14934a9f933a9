"""What poll(2) says of a connection when its peer goes away."""
import select
import socket
import struct

NAMES = ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP", "POLLRDHUP")


def connection():
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    return peer, listener.accept()[0]


def look(what, ours, wait=0):
    poll = select.poll()
    # POLLERR and POLLHUP come unasked.
    poll.register(ours, select.POLLIN | select.POLLRDHUP)
    events = dict(poll.poll(wait)).get(ours.fileno(), 0)
    names = [name for name in NAMES if events & getattr(select, name)]
    print(f"{what}: {' '.join(names) or 'nothing'}")


peer, ours = connection()
look("connected", ours)
peer.shutdown(socket.SHUT_WR)
look("the peer has ended its stream", ours, 5000)
ours.shutdown(socket.SHUT_WR)
look("we have ended ours too", ours, 5000)

peer, ours = connection()
# SO_LINGER with 0 seconds: close(2) resets.
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()
look("the peer has reset the connection", ours, 5000)
