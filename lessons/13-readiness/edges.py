"""What epoll says of a socket with bytes in it: level-triggered, and edge-triggered."""
import select
import socket

listener = socket.create_server(("127.0.0.1", 12345))


def run(name, mode):
    peer = socket.create_connection(("127.0.0.1", 12345))
    ours, _ = listener.accept()
    epoll = select.epoll()
    epoll.register(ours, select.EPOLLIN | mode)

    def look(what):
        print(f"  {what}: {'ready' if epoll.poll(0) else 'nothing'}")

    print(name)
    look("at first")
    peer.sendall(b"abcdef")
    look("6 bytes have come")
    print("  recv(2):", ours.recv(2))
    look("4 bytes are left")
    peer.sendall(b"gh")
    look("2 more have come")
    print("  recv(100):", ours.recv(100))
    look("none is left")
    for closable in (epoll, peer, ours):
        closable.close()


run("level-triggered: what is", 0)
run("edge-triggered: what changes", select.EPOLLET)
listener.close()
