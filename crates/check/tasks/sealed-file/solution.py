"""Keeps one file for its clients, and never a damaged one."""
import os
import re
import socket
import sys

address = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
PUT = re.compile(rb"put ([0-9]{1,8}) ([0-9a-f]{16})\n")
MOST_BYTES = 10_000_000
file = b""


def seal(content):
    """FNV-1a. It detects damage; to detect forgery it would take a keyed hash."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return b"%016x" % value


def serve(connection, reader):
    global file
    # At most 64 bytes and the newline, or nothing at the end of the stream.
    while line := reader.readline(65):
        if line == b"get\n":
            connection.sendall(b"%d %s\n%s" % (len(file), seal(file), file))
            continue
        request = PUT.fullmatch(line)
        if not request or int(request[1]) > MOST_BYTES:
            raise ValueError("no such request")
        content = reader.read(int(request[1]))
        if len(content) < int(request[1]):
            raise ValueError("the stream ended within a file")
        if seal(content) == request[2]:
            file = content
            connection.sendall(b"whole\n")
        else:
            connection.sendall(b"damaged\n")


with socket.create_server(address) as listener:
    while True:
        connection, client = listener.accept()
        with connection, connection.makefile("rb") as reader:
            try:
                serve(connection, reader)
            except (OSError, ValueError) as error:
                print(f"serve {client}: {error}", file=sys.stderr)
