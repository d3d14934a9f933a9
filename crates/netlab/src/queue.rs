//! What a TCP connection has sent and its peer has not acknowledged.
#![allow(unsafe_code, reason = "std and socket2 do not ask for it")]

use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Returns how many bytes were sent and have not been acknowledged yet (`SIOCOUTQ`, `tcp(7)`).
/// Bytes that were answered with a reset never are.
pub fn unacknowledged_bytes(connection: &TcpStream) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ, which is SIOCOUTQ, writes one int, which outlives the call.
    let asked = unsafe {
        libc::ioctl(connection.as_raw_fd(), libc::TIOCOUTQ as _, &raw mut bytes)
    };
    if asked < 0 { 0 } else { usize::try_from(bytes).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_has_not_reached_the_peers_kernel_is_not_acknowledged() {
        let (listener, port) = testkit::listen();
        let mut client = testkit::connect(port);
        let (mut server, _) = testkit::accept(&listener);
        assert_eq!(unacknowledged_bytes(&client), 0);
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(length) = client.write(&[b'x'; 65_536]) {
            sent += length;
        }
        // In this order: what is acknowledged is there.
        let acknowledged = sent - unacknowledged_bytes(&client);
        assert!(acknowledged <= crate::process::unread_bytes(&server));
        let mut all = vec![0; sent];
        server.read_exact(&mut all).unwrap();
        testkit::until("all is acknowledged", || unacknowledged_bytes(&client) == 0);
    }
}
