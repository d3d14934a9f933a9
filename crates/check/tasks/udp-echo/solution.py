"""A UDP echo server: it sends every datagram back."""
import os
import socket
import sys

port = int(os.environ.get("PORT", "12345"))

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", port))
    while True:
        # Room for the largest datagram: what does not fit is lost. No client ends the server:
        # either call may report that an earlier one has gone.
        try:
            message, client = server.recvfrom(65507)
            server.sendto(b"Echo: " + message, client)
        except OSError as error:
            print(f"serve a client: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            break
