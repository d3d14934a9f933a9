"""Two clients of one server. The first says nothing; does the second have to wait?"""
import socket

first = socket.create_connection(("127.0.0.1", 12345))
second = socket.create_connection(("127.0.0.1", 12345))
print("two clients are connected", flush=True)
second.sendall(b"hello")
second.settimeout(2)
try:
    print("second:", second.recv(1024))
except TimeoutError:
    print("second: nothing within 2 s", flush=True)
    first.close()
    second.settimeout(10)
    print("the first is gone. second:", second.recv(1024))
second.close()
first.close()
