#define _GNU_SOURCE /* recvmmsg */
/* A peer for datagrams: plain C, up to 64 with one call. It prints its port. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

enum { BATCH = 64, LARGEST = 65536 };
static char buffers[BATCH][LARGEST];
static struct sockaddr_in clients[BATCH];
static struct iovec pieces[BATCH];
static struct mmsghdr messages[BATCH];

int main(void) {
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(server, (struct sockaddr *)&address, size)) return 1;
    if (getsockname(server, (struct sockaddr *)&address, &size)) return 1;
    printf("Server is listening on port %d...\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){buffers[i], LARGEST};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &clients[i],
                                                  .msg_namelen = sizeof clients[i],
                                                  .msg_iov = &pieces[i],
                                                  .msg_iovlen = 1};
        }
        int count = recvmmsg(server, messages, BATCH, MSG_WAITFORONE, 0);
        for (int i = 0; i < count; i++) pieces[i].iov_len = messages[i].msg_len;
        for (int sent = 0; sent < count;) {
            int more = sendmmsg(server, messages + sent, count - sent, 0);
            sent += more > 0 ? more : 1; /* One that cannot be sent is dropped. */
        }
    }
}
