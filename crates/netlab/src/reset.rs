//! Resetting a connection at once.
#![allow(unsafe_code, reason = "std and socket2 connect to addresses alone, not to none")]

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Resets a TCP connection, so that its peer gets `ECONNRESET`: connect(2) with
/// `AF_UNSPEC` dissolves the association, and the kernel sends a RST.
///
/// Closing the socket with an `SO_LINGER` of zero sends a RST too, but only once the last
/// copy of the socket is closed. A child that another thread is starting holds a copy
/// from fork(2) to execve(2), however long it waits for a processor.
///
/// # Errors
/// Those of connect(2). It is not an error if the peer has already reset the connection.
pub fn reset(connection: TcpStream) -> io::Result<()> {
    // SAFETY: a sockaddr holds only numbers and arrays; zeros are AF_UNSPEC, no address.
    let nowhere: libc::sockaddr = unsafe { std::mem::zeroed() };
    let length = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: connect reads a live sockaddr of that length.
    let result =
        unsafe { libc::connect(connection.as_raw_fd(), &raw const nowhere, length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write, pipe};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    /// A child that is held up before its execve(2) has copies of all descriptors.
    #[test]
    fn reset_does_not_wait_for_a_child_that_is_being_started() {
        let (listener, port) = testkit::listen();
        let client = testkit::connect(port);
        let (mut server, _) = testkit::accept(&listener);

        let (mut forked, mut in_child) = pipe().unwrap();
        let (gate, mut go) = pipe().unwrap();
        let mut command = Command::new("true");
        // SAFETY: write(2) and read(2) are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                in_child.write_all(b".")?;
                (&gate).read_exact(&mut [0])
            });
        }
        let starter = std::thread::spawn(move || command.status());
        forked.read_exact(&mut [0]).unwrap();

        reset(client).unwrap();
        let came = server.read(&mut [0]);
        // Whatever came, the child must not be left there.
        go.write_all(b".").unwrap();
        assert!(starter.join().unwrap().unwrap().success());
        assert_eq!(came.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn peer_has_reset_it_before() {
        let (listener, port) = testkit::listen();
        let client = testkit::connect(port);
        reset(testkit::accept(&listener).0).unwrap();
        let error = (&client).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        reset(client).unwrap();
    }
}
