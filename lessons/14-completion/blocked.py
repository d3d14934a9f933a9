"""Ten clients of one event loop. One of them has it compute, or wait, for 0.6 s."""
import asyncio
import socket
import threading
import time

ADDRESS = ("127.0.0.1", 12345)


async def handle(reader, writer):
    while words := await reader.readline():
        if words == b"block\n":
            time.sleep(0.6)  # The thread stands still, and everybody with it.
        elif words == b"wait\n":
            await asyncio.sleep(0.6)  # The task stands still; the thread goes on.
        writer.write(words)
    writer.close()


def serve():
    async def main():
        async with await asyncio.start_server(handle, *ADDRESS):
            started.set()
            await asyncio.Event().wait()

    asyncio.run(main())


def longest(words):
    """How long the slowest of nine others waits, while one says these words."""
    clients = [socket.create_connection(ADDRESS, timeout=10) for _ in range(10)]
    clients[0].sendall(words)
    waits = []
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        for client in clients[1:]:
            start = time.monotonic()
            client.sendall(b"hello\n")
            client.recv(100)
            waits.append(time.monotonic() - start)
    clients[0].recv(100)
    return max(waits)


started = threading.Event()
threading.Thread(target=serve, daemon=True).start()
started.wait(10)
for words in (b"wait\n", b"block\n"):
    wait = longest(words)
    answer = "at once" if wait < 0.5 else "after 0.6 s"
    print(f"one says {words.decode().strip()}: the slowest of the others is answered {answer}")
