"""Both ends of a connection. One of them is asked never to wait (O_NONBLOCK)."""
import select
import socket

listener = socket.create_server(("127.0.0.1", 12345))
peer = socket.create_connection(("127.0.0.1", 12345))
ours, _ = listener.accept()
ours.setblocking(False)


def ready(event):
    poll = select.poll()
    poll.register(ours, event)
    return "yes" if poll.poll(0) else "no"


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except BlockingIOError:
        return "EAGAIN, not now"


print("recv:", attempt(ours.recv, 100))
print("is there something to receive?", ready(select.POLLIN))
peer.sendall(b"hello")
print("and now?", ready(select.POLLIN))
print("recv:", attempt(ours.recv, 100))
print("recv again:", attempt(ours.recv, 100))
print("is there room to send?", ready(select.POLLOUT))
while attempt(ours.send, bytes(65536)) != "EAGAIN, not now":
    pass
print("the peer does not receive. send, many times:", attempt(ours.send, b"x"))
print("and now?", ready(select.POLLOUT))
