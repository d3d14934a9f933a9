"""A server that forgets to close: its peers have ended their streams, and the sockets stay."""
import socket
import subprocess

listener = socket.create_server(("127.0.0.1", 0))  # Port 0: the kernel picks.
port = listener.getsockname()[1]


def in_close_wait():
    command = ["ss", "-tanH", "state", "close-wait", f"sport = :{port}"]
    return len(subprocess.run(command, capture_output=True).stdout.splitlines())


connections = []
for number in range(3):
    with socket.create_connection(("127.0.0.1", port)):
        connections.append(listener.accept()[0])
    # The client has closed. The server sees the end of the stream, and does nothing about it.
    print(connections[-1].recv(1024), "in CLOSE-WAIT:", in_close_wait())
for connection in connections:
    connection.close()
print("all are closed, in CLOSE-WAIT:", in_close_wait())
