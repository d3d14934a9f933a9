"""Makes deposits, and asks again until each has its reply."""
import os
import re
import socket
import sys
import time

ATTEMPTS = 5
LEAST = 0.1  # seconds: the first timeout, and the shortest
server = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "12345"))
count = int(os.environ.get("COUNT", "3"))
smoothed, variation, timeout = None, 0.0, LEAST


def measured(seconds):
    """How long to wait from now on: RFC 6298."""
    global smoothed, variation, timeout
    if smoothed is None:
        smoothed, variation = seconds, seconds / 2
    else:
        variation = (3 * variation + abs(smoothed - seconds)) / 4
        smoothed = (7 * smoothed + seconds) / 8
    timeout = max(smoothed + 4 * variation, LEAST)


def reply_to(number, until):
    """Returns the reply to this request, if it comes in time. Ignores everything else."""
    wanted = re.compile(rb"%d balance [0-9]+" % number)
    while True:
        # A timeout of zero would mean a socket that does not wait at all.
        client.settimeout(max(until - time.monotonic(), 0.001))
        try:
            reply = client.recv(1024)
        except TimeoutError:
            return None
        if wanted.fullmatch(reply):
            return reply.decode()


def ask(number):
    global timeout
    for attempt in range(ATTEMPTS):
        sent = time.monotonic()
        client.send(b"%d deposit 100" % number)
        if reply := reply_to(number, sent + timeout):
            # If a request was sent twice, nobody knows which one was answered.
            if attempt == 0:
                measured(time.monotonic() - sent)
            return reply
        timeout *= 2
    sys.exit(f"request {number}: no reply to {ATTEMPTS} attempts")


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    # A connected socket accepts datagrams only from this address and port.
    client.connect(server)
    for number in range(1, count + 1):
        print(ask(number))
