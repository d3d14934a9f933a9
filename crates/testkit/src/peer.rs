//! The other side of the conversation, played by the test. Its waits have the deadline too.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::{DEADLINE, within};

/// A listener on a free port of 127.0.0.1, and that port.
///
/// # Panics
/// If the kernel refuses.
#[track_caller]
pub fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let port = listener.local_addr().expect("local address").port();
    (listener, port)
}

/// The next connection, and its peer's address. Its reads and writes have the deadline.
///
/// # Panics
/// If no one connects before the deadline.
#[track_caller]
pub fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let listener = listener.try_clone().expect("clone the listener");
    let (connection, client) =
        within("accept", move || listener.accept()).expect("accept");
    limit(&connection);
    (connection, client)
}

/// A connection to `port` of 127.0.0.1. Its reads and writes have the deadline.
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

/// A UDP socket on a free port of 127.0.0.1, and that port. Its reads have the deadline.
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

/// Closes with a reset (RST) in place of an end of stream (FIN): `SO_LINGER` of zero,
/// socket(7).
///
/// # Panics
/// If the option is refused.
pub fn reset(connection: TcpStream) {
    let socket = socket2::SockRef::from(&connection);
    socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(connection);
}
