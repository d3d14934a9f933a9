"""select(2) has room for descriptors up to 1023. poll(2) takes any."""
import fcntl
import resource
import select
import socket

# As many descriptors as this process may have.
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
peer, ours = socket.socketpair()
peer.sendall(b"hello")

for number in (1023, 1024):
    copy = fcntl.fcntl(ours, fcntl.F_DUPFD, number)
    try:
        found = select.select([copy], [], [], 0)[0] == [copy]
        print(f"select, descriptor {copy}: ready? {found}")
    except ValueError as error:
        print(f"select, descriptor {copy}: {error}")
    poll = select.poll()
    poll.register(copy, select.POLLIN)
    print(f"poll, descriptor {copy}: ready? {poll.poll(0) == [(copy, select.POLLIN)]}")
