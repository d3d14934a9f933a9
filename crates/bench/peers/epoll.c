#define _GNU_SOURCE /* accept4 */
/* A peer: plain C, level-triggered epoll, one buffer. As short as it can be: a client that
 * does not read stops it. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <signal.h>
#include <poll.h>
#include <errno.h>

static char buffer[65536];

int main(int argc, char **argv) {
    int one = 1, epoll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client;
                while ((client = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
                    struct epoll_event of_client = {.events = EPOLLIN, .data.fd = client};
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &of_client);
                }
                continue;
            }
            ssize_t length = recv(fd, buffer, sizeof buffer, 0);
            if (length <= 0) {
                if (length == 0 || errno != EAGAIN) close(fd);
                continue;
            }
            for (ssize_t sent = 0; sent < length;) {
                ssize_t more = send(fd, buffer + sent, length - sent, 0);
                if (more > 0) { sent += more; continue; }
                if (errno != EAGAIN) break;
                struct pollfd room = {.fd = fd, .events = POLLOUT};
                poll(&room, 1, -1);
            }
        }
    }
}
