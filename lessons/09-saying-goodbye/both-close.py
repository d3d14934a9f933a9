"""Both ends close before either has seen the other's goodbye.

python3 both-close.py server ADDRESS, then: python3 both-close.py client ADDRESS
"""
import socket
import sys
import time

PORT = 12345
STATES = {1: "ESTABLISHED", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2", 6: "TIME-WAIT",
          8: "CLOSE-WAIT", 9: "LAST-ACK", 11: "CLOSING"}


def state():
    """The state of this host's end, from the kernel's table: proc(5)."""
    with open("/proc/self/net/tcp") as table:
        for line in list(table)[1:]:
            _, local, peer, number, *_ = line.split()
            if f":{PORT:04X}" in local + peer and peer != "00000000:0000":
                return STATES.get(int(number, 16), number)
    return "CLOSED"


role, host = sys.argv[1:]
if role == "server":
    with socket.create_server((host, PORT)) as listener:
        connection, _ = listener.accept()
else:
    connection = socket.create_connection((host, PORT))
connection.close()

deadline = time.monotonic() + 10
while state() not in ("TIME-WAIT", "CLOSED") and time.monotonic() < deadline:
    pass
print(f"the {role}'s end: {state()}")
