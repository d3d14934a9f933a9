#define _GNU_SOURCE /* sched_setaffinity */
/* The floor below all servers: recv(2) and send(2) for each request, and nothing else. There
 * is no epoll, since it knows that every client has asked: two threads take turns. One sends
 * the requests of all clients, the other answers them all, and then the first takes the
 * answers. Prints the processor time of an answer in microseconds, the median of the turns.
 * Arguments: the core that answers, the core that asks, the number of clients. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { BYTES = 64, WARM_UP = 20, TURNS = 200 };

static int clients, core_of_server, *ours, *theirs;
static sem_t asked, answered;
static double times[TURNS];

static void must(int good, const char *what) {
    if (good) return;
    perror(what);
    exit(1);
}

static void pin(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    must(sched_setaffinity(0, sizeof cores, &cores) == 0, "sched_setaffinity");
}

static double processor_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void *serve(void *unused) {
    static char buffer[65536];
    pin(core_of_server);
    for (int turn = -WARM_UP; turn < TURNS; turn++) {
        sem_wait(&asked);
        double start = processor_time();
        for (int i = 0; i < clients; i++) {
            ssize_t length = recv(ours[i], buffer, sizeof buffer, 0);
            must(length == BYTES, "recv");
            must(send(ours[i], buffer, length, MSG_NOSIGNAL) == length, "send");
        }
        if (turn >= 0) times[turn] = (processor_time() - start) / clients;
        sem_post(&answered);
    }
    return unused;
}

static int by_size(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    core_of_server = atoi(argv[1]);
    clients = atoi(argv[3]);
    ours = calloc(clients, sizeof *ours);
    theirs = calloc(clients, sizeof *theirs);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_TCP, TCP_NODELAY, &one, sizeof one);
    must(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
    must(listen(listener, 16) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    for (int i = 0; i < clients; i++) {
        theirs[i] = socket(AF_INET, SOCK_STREAM, 0);
        must(theirs[i] >= 0, "socket");
        setsockopt(theirs[i], SOL_TCP, TCP_NODELAY, &one, sizeof one);
        must(connect(theirs[i], (struct sockaddr *)&address, size) == 0, "connect");
        must((ours[i] = accept(listener, 0, 0)) >= 0, "accept");
        /* As load does: an answer puts its connection into a list, which costs who sends it. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = theirs[i]};
        must(epoll_ctl(epoll, EPOLL_CTL_ADD, theirs[i], &event) == 0, "epoll_ctl");
    }
    sem_init(&asked, 0, 0);
    sem_init(&answered, 0, 0);
    pthread_t server;
    must(pthread_create(&server, 0, serve, 0) == 0, "pthread_create");
    pin(atoi(argv[2]));
    static char request[BYTES], answer[2048];
    static struct epoll_event events[1024];
    for (int turn = 0; turn < WARM_UP + TURNS; turn++) {
        for (int i = 0; i < clients; i++)
            must(send(theirs[i], request, BYTES, MSG_NOSIGNAL) == BYTES, "send");
        sem_post(&asked);
        sem_wait(&answered);
        for (int came = 0; came < clients;) {
            int count = epoll_wait(epoll, events, 1024, 10000);
            must(count > 0, "epoll_wait");
            for (int i = 0; i < count; i++)
                came += recv(events[i].data.fd, answer, sizeof answer, MSG_DONTWAIT) == BYTES;
        }
    }
    pthread_join(server, 0);
    qsort(times, TURNS, sizeof *times, by_size);
    printf("%.3f\n", times[TURNS / 2]);
    return 0;
}
