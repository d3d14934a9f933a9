"""One client sends without end. Do twenty others get their answers?"""
import socket
import threading

ADDRESS = ("127.0.0.1", 12345)
greedy = socket.create_connection(ADDRESS)
done = threading.Event()


def send():
    while not done.is_set():
        greedy.sendall(bytes(65536))


def receive():
    while greedy.recv(65536):
        pass


threads = [threading.Thread(target=work) for work in (send, receive)]
for thread in threads:
    thread.start()
answered = 0
for number in range(20):
    with socket.create_connection(ADDRESS, timeout=10) as client:
        client.sendall(b"hello")
        answered += client.recv(1024) == b"hello"
print(f"{answered} of 20 answered, beside one that sends without end")
done.set()
threads[0].join()
greedy.shutdown(socket.SHUT_WR)
threads[1].join()
