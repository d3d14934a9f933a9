"""A thread waits in recv. How does another thread get it out of there?"""
import os
import socket
import threading
import time

# recvfrom(2), on x86-64 and aarch64: see proc_pid_syscall(5).
RECVFROM = {"45", "207"}


def waiting_thread(connection):
    """Starts it, and returns when it waits in recv."""
    def wait():
        print("  recv:", connection.recv(100))
    thread = threading.Thread(target=wait)
    thread.start()
    call = f"/proc/self/task/{thread.native_id}/syscall"
    while open(call).read().split()[0] not in RECVFROM:
        time.sleep(0.001)
    return thread


listener = socket.create_server(("127.0.0.1", 0))
peer = socket.create_connection(listener.getsockname())
ours, _ = listener.accept()
thread = waiting_thread(ours)
print("close, from another thread")
os.close(ours.detach())
thread.join(0.5)
print("  it still waits:", thread.is_alive())
print("the peer sends")
peer.sendall(b"hello")
thread.join()

peer = socket.create_connection(listener.getsockname())
ours, _ = listener.accept()
thread = waiting_thread(ours)
print("shutdown, from another thread")
ours.shutdown(socket.SHUT_RDWR)
thread.join()
