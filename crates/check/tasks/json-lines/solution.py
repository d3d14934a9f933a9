"""A server that answers requests in JSON, one thread per client."""
import json
import os
import socketserver
import sys

MOST_BYTES = 65_536
port = int(os.environ.get("PORT", "12345"))


def is_whole(value):
    # In Python, True is an int too.
    return isinstance(value, int) and not isinstance(value, bool)


def answer(line, count):
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {"id": None, "error": f"not JSON: {error}"}
    if not isinstance(request, dict):
        return {"id": None, "error": "not an object"}
    id, method, params = (request.get(name) for name in ("id", "method", "params"))
    id_is_right = is_whole(id) or isinstance(id, str)
    if not (id_is_right and isinstance(method, str) and isinstance(params, list)):
        return {"id": None, "error": "id, method or params is missing, or of a wrong kind"}
    match method, params:
        case "echo", [value]:
            return {"id": id, "result": value}
        case "sum", _ if all(is_whole(number) for number in params):
            return {"id": id, "result": sum(params)}
        case "count", []:
            return {"id": id, "result": count}
    return {"id": id, "error": "no such method, or wrong parameters"}


class Client(socketserver.StreamRequestHandler):
    def handle(self):
        count = 0
        try:
            # A longer line comes without its newline, like one that the stream cut off.
            while (line := self.rfile.readline(MOST_BYTES + 1)).endswith(b"\n"):
                count += 1
                # json.dumps writes a newline in a string as \n: the answer is one line.
                self.wfile.write(json.dumps(answer(line, count)).encode() + b"\n")
        except OSError as error:
            print(f"serve {self.client_address}: {error}", file=sys.stderr)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", port), Client) as server:
    server.serve_forever()
