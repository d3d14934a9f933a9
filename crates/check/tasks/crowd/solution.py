"""Echoes to a thousand clients in one thread: epoll(7) says who has something."""
import os
import selectors
import socket

port = int(os.environ.get("PORT", "12345"))
selector = selectors.DefaultSelector()


def turn(connection, unsent):
    """One piece of one client, and then the others have their turn."""
    if unsent:
        del unsent[:connection.send(unsent)]
    else:
        piece = connection.recv(65536)
        if not piece:
            raise EOFError
        try:
            piece = piece[connection.send(piece):]
        except BlockingIOError:
            pass
        unsent += piece
    # As long as a client has not taken all, nothing more is read from it.
    wanted = selectors.EVENT_WRITE if unsent else selectors.EVENT_READ
    if selector.get_key(connection).events != wanted:
        selector.modify(connection, wanted, unsent)


with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ, bytearray())
                continue
            try:
                turn(key.fileobj, key.data)
            except BlockingIOError:
                pass
            except (OSError, EOFError):
                selector.unregister(key.fileobj)
                key.fileobj.close()
