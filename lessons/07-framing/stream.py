"""Both ends of one TCP connection: what send was given, and what recv gave.

python3 stream.py
"""
import socket

with socket.create_server(("127.0.0.1", 0)) as listener:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def recv():
    data = server.recv(1024)
    print(f"recv {len(data)} bytes: {data}")
    return data


print("One message in three recv")
for part in b"Hello", b" TCP", b" Server":
    client.send(part)
    recv()

print("Three messages in one")
for message in b"one", b"two", b"three":
    client.send(message)
# Look, without taking, until all of it lies in the receiving kernel.
while len(server.recv(1024, socket.MSG_PEEK)) < len(b"onetwothree"):
    pass
recv()

print("One character in two")
for part in b"Caf\xc3", b"\xa9":
    client.send(part)
    try:
        recv().decode()
    except UnicodeDecodeError as error:
        print(f"UnicodeDecodeError: {error.reason}")

client.close()
server.close()
