//! The other side of the conversation, played by the test. Its waits have the deadline
//! too.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
#[cfg(not(target_os = "linux"))]
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::{DEADLINE, within};

/// Returns a listener on a free port of 127.0.0.1, and the port.
///
/// # Panics
/// If the kernel refuses.
#[track_caller]
pub fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let port = listener.local_addr().expect("local address").port();
    (listener, port)
}

/// Returns a port of 127.0.0.1 where nobody listens, so that connect is refused, and a
/// socket that is bound to it, so that no other test can listen there.
///
/// # Panics
/// If the kernel refuses.
#[track_caller]
pub fn closed_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("bind");
    let address = socket.local_addr().expect("local address");
    let port = address.as_socket().expect("an IPv4 address").port();
    (socket, port)
}

/// Returns a UDP socket and a TCP listener on the same port of 127.0.0.1, and the port.
///
/// # Panics
/// If the kernel refuses, or no port is free for both.
#[track_caller]
pub fn port_of_both() -> (UdpSocket, TcpListener, u16) {
    for _ in 0..100 {
        let (listener, port) = listen();
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
            return (socket, listener, port);
        }
    }
    panic!("no port is free over TCP and over UDP");
}

/// Accepts the next connection and returns it with its peer's address. Its reads and
/// writes have the deadline.
///
/// # Panics
/// If nobody connects before the deadline.
#[track_caller]
pub fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let listener = listener.try_clone().expect("clone the listener");
    let (connection, client) =
        within("accept", move || listener.accept()).expect("accept");
    limit(&connection);
    (connection, client)
}

/// Connects to `port` of 127.0.0.1. Reads and writes of the connection have the deadline.
///
/// # Panics
/// If it is refused.
#[track_caller]
pub fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    limit(&connection);
    connection
}

fn limit(connection: &TcpStream) {
    connection.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    connection.set_write_timeout(Some(DEADLINE)).expect("SO_SNDTIMEO");
}

/// Returns a UDP socket on a free port of 127.0.0.1, and the port. Its reads have the
/// deadline.
///
/// # Panics
/// If the kernel refuses.
#[track_caller]
pub fn datagram_socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    socket.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    let port = socket.local_addr().expect("local address").port();
    (socket, port)
}

/// Resets the connection (RST) instead of ending the stream (FIN).
///
/// On Linux this takes effect at once. Elsewhere, where it uses an `SO_LINGER` of zero
/// (socket(7)), a child that another test is starting may delay it: it holds a copy of
/// the socket until its exec(3).
///
/// # Panics
/// If the kernel refuses.
pub fn reset(connection: TcpStream) {
    #[cfg(target_os = "linux")]
    netlab::reset(connection).expect("connect to AF_UNSPEC");
    #[cfg(not(target_os = "linux"))]
    socket2::SockRef::from(&connection)
        .set_linger(Some(Duration::ZERO))
        .expect("SO_LINGER");
}
