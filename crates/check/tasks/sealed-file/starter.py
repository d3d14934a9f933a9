"""Keeps one file for its clients, whatever happened to it on the way. Checking whether it is whole is
your part."""
import os
import socket

address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
file = b""


def seal(content):
    """FNV-1a. It detects damage; to detect forgery it would take a keyed hash."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return b"%016x" % value


with socket.create_server(address) as listener:
    while True:
        connection, client = listener.accept()
        with connection, connection.makefile("rb") as reader:
            try:
                while line := reader.readline():
                    if line == b"get\n":
                        connection.sendall(b"%d %s\n%s" % (len(file), seal(file), file))
                        continue
                    # Your part: what is a good request, and how long may it be?
                    file = reader.read(int(line.split()[1]))
                    # Your part: are these the bytes that were sent?
                    connection.sendall(b"whole\n")
            except (OSError, ValueError, IndexError):
                pass
