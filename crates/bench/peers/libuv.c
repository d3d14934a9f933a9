/* A peer: libuv, the loop below Node.js. It tries to write at once, and waits where it must. */
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

static char shared[65536];

static void closed(uv_handle_t *handle) { free(handle); }
static void give(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
    (void)handle; (void)size;
    *buf = uv_buf_init(shared, sizeof shared);
}
static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf);
static void written(uv_write_t *write, int status) {
    uv_stream_t *stream = write->handle;
    free(write->data);
    free(write);
    if (status == 0 && !uv_is_closing((uv_handle_t *)stream)) uv_read_start(stream, give, on_read);
}
static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buf) {
    if (length == 0) return;
    if (length < 0) { uv_close((uv_handle_t *)stream, closed); return; }
    uv_buf_t piece = uv_buf_init(buf->base, length);
    int sent = uv_try_write(stream, &piece, 1);
    if (sent == length) return;
    if (sent < 0 && sent != UV_EAGAIN) { uv_close((uv_handle_t *)stream, closed); return; }
    if (sent < 0) sent = 0;
    uv_write_t *write = malloc(sizeof *write);
    char *rest = malloc(length - sent);
    for (ssize_t i = sent; i < length; i++) rest[i - sent] = buf->base[i];
    write->data = rest;
    piece = uv_buf_init(rest, length - sent);
    uv_read_stop(stream);
    uv_write(write, stream, &piece, 1, written);
}
static void on_client(uv_stream_t *listener, int status) {
    if (status < 0) return;
    uv_tcp_t *client = malloc(sizeof *client);
    uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client)) { uv_close((uv_handle_t *)client, closed); return; }
    uv_tcp_nodelay(client, 1);
    uv_read_start((uv_stream_t *)client, give, on_read);
}
int main(int argc, char **argv) {
    uv_tcp_t listener;
    struct sockaddr_in address;
    signal(SIGPIPE, SIG_IGN);
    uv_tcp_init(uv_default_loop(), &listener);
    uv_ip4_addr("127.0.0.1", atoi(argv[argc - 1]), &address);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0)) return 1;
    if (uv_listen((uv_stream_t *)&listener, 1024, on_client)) return 1;
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
