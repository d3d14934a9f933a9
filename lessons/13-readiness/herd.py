"""Four threads wait for one listener. A client comes: how many are woken?"""
import os
import select
import socket
import threading
import time

# epoll_wait and its like, on x86-64 and aarch64: see proc_pid_syscall(5).
WAITING = {"232", "281", "441", "22"}


def count(name, flags, own_listener=False):
    def listen():
        listener = socket.create_server(("127.0.0.1", 12345), reuse_port=own_listener)
        listener.setblocking(False)
        return listener

    listeners = [listen() for _ in range(4)] if own_listener else [listen()] * 4
    woken, threads = [], []

    def wait(listener):
        epoll = select.epoll()
        epoll.register(listener, select.EPOLLIN | flags)
        if epoll.poll(2):
            woken.append(threading.get_native_id())

    for listener in listeners:
        thread = threading.Thread(target=wait, args=[listener])
        thread.start()
        threads.append(thread)
    for thread in threads:
        path = f"/proc/{os.getpid()}/task/{thread.native_id}/syscall"
        while open(path).read().split()[0] not in WAITING:
            time.sleep(0.001)
    client = socket.create_connection(("127.0.0.1", 12345))
    for thread in threads:
        thread.join()
    print(f"{name}: {len(woken)} of 4")
    client.close()
    for listener in listeners:
        listener.close()


count("EPOLLIN", 0)
count("EPOLLIN | EPOLLEXCLUSIVE", select.EPOLLEXCLUSIVE)
count("EPOLLIN, each with a listener of its own (SO_REUSEPORT)", 0, own_listener=True)
