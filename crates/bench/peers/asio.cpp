// A peer: Asio (C++), one thread, and for each client a session with a buffer of its own.
#include <array>
#include <asio.hpp>
#include <cstdlib>
#include <memory>

using asio::ip::tcp;

struct Session : std::enable_shared_from_this<Session> {
    tcp::socket socket;
    std::array<char, 16384> buffer;
    explicit Session(tcp::socket it) : socket(std::move(it)) {}

    void receive() {
        socket.async_read_some(
            asio::buffer(buffer), [self = shared_from_this()](auto error, std::size_t length) {
                if (!error) self->send(length);
            });
    }

    void send(std::size_t length) {
        asio::async_write(socket, asio::buffer(buffer, length),
                          [self = shared_from_this()](auto error, std::size_t) {
                              if (!error) self->receive();
                          });
    }
};

static void accept(tcp::acceptor &listener) {
    listener.async_accept([&listener](auto error, tcp::socket socket) {
        if (!error) {
            asio::error_code ignored;
            socket.set_option(tcp::no_delay(true), ignored);
            std::make_shared<Session>(std::move(socket))->receive();
        }
        accept(listener);
    });
}

int main(int argc, char **argv) {
    asio::io_context context(1);
    unsigned short port = std::atoi(argv[argc - 1]);
    tcp::acceptor listener(context, {asio::ip::address_v4::loopback(), port});
    listener.listen(1024);
    accept(listener);
    context.run();
}
