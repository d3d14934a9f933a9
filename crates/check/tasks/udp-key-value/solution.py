"""A key-value store over UDP."""
import os
import re
import socket
import sys

port = int(os.environ.get("PORT", "12345"))
values = {}
GET = re.compile(rb"get ([a-z]{1,32})")
PUT = re.compile(rb"put ([a-z]{1,32})\n(.{0,1000})", re.DOTALL)


def answer(request):
    if match := GET.fullmatch(request):
        name = match[1]
        return b"is " + name + b"\n" + values[name] if name in values else b"no " + name
    if match := PUT.fullmatch(request):
        name = match[1]
        values[name] = match[2]
        return b"ok " + name
    return b"bad"


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", port))
    while True:
        # Room for the largest datagram: one that is cut might look like a good request.
        # Either call may report that an earlier client has gone. No client ends the server.
        try:
            request, client = server.recvfrom(65507)
            server.sendto(answer(request), client)
        except OSError as error:
            print(f"serve a client: {error}", file=sys.stderr)
