"""A web server that keeps its connections, one thread per client."""
import os
import re
import socketserver
import sys

MOST_HEAD_BYTES = 8192
MOST_BODY_BYTES = 1_000_000
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
}
REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.([01])")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
port = int(os.environ.get("PORT", "12345"))


class Bad(Exception):
    """A request after which nobody knows where the next one begins, with its status."""


def head(stream):
    """Returns method, path, version and fields of the next request; None if the stream ends."""
    lines, room = [], MOST_HEAD_BYTES
    while not lines or lines[-1] != b"":
        line = stream.readline(room + 1)
        room -= len(line)
        if room < 0:
            raise Bad(431)
        if not line.endswith(b"\n"):
            return None
        if not line.endswith(b"\r\n"):
            raise Bad(400)
        lines.append(line[:-2])
    request = REQUEST_LINE.fullmatch(lines[0])
    fields = {}
    for line in lines[1:-1]:
        field = FIELD.fullmatch(line)
        if not field:
            raise Bad(400)
        # A repeated field is a list: two different lengths are not a number.
        fields.setdefault(field[1].lower(), []).append(field[2])
    if not request or request[3] == b"1" and b"host" not in fields:
        raise Bad(400)
    return request[1], request[2], request[3], fields


def body(stream, fields):
    """Returns the body, or None if the stream ends within it."""
    if b"transfer-encoding" in fields:
        raise Bad(501)
    lengths = set(fields.get(b"content-length", [b"0"]))
    text = lengths.pop()
    # Python's int() accepts +5 and 1_0 as well.
    if lengths or not re.fullmatch(rb"[0-9]+", text):
        raise Bad(400)
    # Compare endless digits as digits: int() would take long.
    if len(text.lstrip(b"0")) > 7 or int(text) > MOST_BODY_BYTES:
        raise Bad(413)
    content = stream.read(int(text))
    return content if len(content) == int(text) else None


def answer(method, path, content, count):
    """Returns the status, the body, and the methods that the path has."""
    paths = {
        b"/": ("GET, HEAD", b"hello\n"),
        b"/count": ("GET, HEAD", b"%d\n" % count),
        b"/echo": ("POST", content),
    }
    if path not in paths:
        return 404, b"no such page\n", None
    methods, text = paths[path]
    if method.decode() not in methods.split(", "):
        return 405, b"not with this method\n", methods
    return 200, text, None


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            count, keep = 0, True
            while keep and (request := head(self.rfile)):
                method, path, version, fields = request
                content = body(self.rfile, fields)
                if content is None:
                    return
                count += 1
                wishes = b",".join(fields.get(b"connection", [])).lower().split(b",")
                closes = any(wish.strip() == b"close" for wish in wishes)
                keep = version == b"1" and not closes
                status, text, methods = answer(method, path, content, count)
                self.respond(status, text, methods, keep, method != b"HEAD")
        except Bad as bad:
            self.respond(bad.args[0], b"", None, False, True)
        except OSError as error:
            print(f"serve {self.client_address}: {error}", file=sys.stderr)

    def respond(self, status, text, methods, keep, with_body):
        lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"Content-Length: {len(text)}"]
        if methods:
            lines.append(f"Allow: {methods}")
        if not keep:
            lines.append("Connection: close")
        response = "\r\n".join([*lines, "", ""]).encode()
        self.wfile.write(response + text if with_body else response)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
