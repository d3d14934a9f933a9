"""A key-value server that speaks part of RESP, one thread per client."""
import os
import socketserver
import sys

MOST_STRINGS = 100
MOST_BYTES = 1_000_000
port = int(os.environ.get("PORT", "12345"))
values = {}


class Bad(Exception):
    """What came is not a command."""


def number(stream, sign, most):
    """Returns the number in a line that begins with `sign`, or None at the end of the stream."""
    # A line that is not short is wrong: no client may fill the memory with one.
    line = stream.readline(20)
    if not line:
        return None
    if not (line.startswith(sign) and line.endswith(b"\r\n") and line[1:-2].isdigit()):
        raise Bad("not a number")
    if (count := int(line[1:-2])) > most:
        raise Bad("a number that is too large")
    return count


def receive(stream):
    """Returns the next command, or None if the stream ends before one begins."""
    count = number(stream, b"*", MOST_STRINGS)
    if count is None:
        return None
    command = []
    for _ in range(count):
        length = number(stream, b"$", MOST_BYTES)
        text = b"" if length is None else stream.read(length + 2)
        if length is None or not text.endswith(b"\r\n") or len(text) < length + 2:
            raise Bad("a string that is cut short, or longer than it says")
        command.append(text[:-2])
    return command


def string(text):
    return b"$%d\r\n%s\r\n" % (len(text), text)


def answer(command):
    match command[:1] and [command[0].upper(), *command[1:]]:
        case [b"PING"]:
            return b"+PONG\r\n"
        case [b"ECHO", text]:
            return string(text)
        case [b"SET", name, value]:
            values[name] = value
            return b"+OK\r\n"
        case [b"GET", name]:
            return string(values[name]) if name in values else b"$-1\r\n"
    return b"-ERR unknown command, or wrong number of arguments\r\n"


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while (command := receive(self.rfile)) is not None:
                self.wfile.write(answer(command))
        except (OSError, Bad) as error:
            print(f"serve {self.client_address}: {error}", file=sys.stderr)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
