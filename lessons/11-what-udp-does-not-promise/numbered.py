"""udp-client-numbers in Python: numbered datagrams, and which echoes come back."""

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("10.77.0.2", 12345))
for number in (b"1", b"2", b"3"):
    client.send(number)
print("Sent 3", flush=True)
# Nobody tells that no more will come: only a silence that is long enough.
client.settimeout(1)
try:
    while echo := client.recv(65535):
        print(f"Echo of {len(echo)} bytes: {echo.decode()}", flush=True)
except TimeoutError:
    print("Nothing more")
except OSError as error:
    sys.exit(str(error))
