//! Sends back every datagram, many with one call: recvmmsg(2) and sendmmsg(2).
//!
//! It belongs to lesson 13, `lessons/13-readiness`, and is a rung of UDP's ladder in lesson 15.
//! Run it: `cargo run -q --bin udp-server-mmsg`.
#![allow(
    unsafe_code,
    reason = "these two calls are made through libc: they take pointers"
)]

use std::process::ExitCode;

use clap::Parser;
use common::{Address, exit_code, parse_arguments};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

#[cfg(target_os = "linux")]
use linux::serve;

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, ErrorKind};
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::{mem, ptr};

    use common::{During, Failure, say};
    use libc::{c_uint, iovec, mmsghdr, sockaddr_in};

    use super::Arguments;

    /// How many datagrams one call takes. Each has room for the largest there is.
    const BATCH: usize = 64;
    const LARGEST: usize = 65536;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        let address = arguments.address.resolve()?;
        let socket = UdpSocket::bind(address).during("bind", address)?;
        let port = socket.local_addr().during("getsockname", address)?.port();
        say!("Server is listening on port {port}...")?;

        // Memory that nobody has written to takes up no RAM: of these 4 MiB, only as much as
        // datagrams have filled.
        let mut buffers = vec![0_u8; BATCH * LARGEST];
        // SAFETY: plain data, for which zero is a value.
        let mut clients: [sockaddr_in; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: the same.
        let mut pieces: [iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: the same; null pointers and lengths of zero are "nothing here".
        let mut messages: [mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for (at, piece) in pieces.iter_mut().enumerate() {
            piece.iov_base = (&raw mut buffers[at * LARGEST]).cast();
            messages[at].msg_hdr.msg_iov = piece;
            messages[at].msg_hdr.msg_iovlen = 1;
            messages[at].msg_hdr.msg_name = (&raw mut clients[at]).cast();
        }

        loop {
            for message in &mut messages {
                message.msg_hdr.msg_namelen = length_of_address();
                // SAFETY: it points to the piece of this message, set above.
                unsafe { (*message.msg_hdr.msg_iov).iov_len = LARGEST };
            }
            // It waits for the first datagram (MSG_WAITFORONE), and takes what else is there.
            let received = receive(&socket, &mut messages).during("recvmmsg", address)?;
            // Each goes back to where it came from: the address is in the message. What
            // changes is the length.
            for message in &mut messages[..received] {
                // SAFETY: as above. The kernel has filled this many bytes of the piece.
                unsafe { (*message.msg_hdr.msg_iov).iov_len = message.msg_len as usize };
            }
            let mut left = &mut messages[..received];
            while !left.is_empty() {
                // It stops at the first that fails. That one is left out: a datagram may be
                // lost (lesson 11), the others are not to blame.
                let sent = send(&socket, left).unwrap_or(0).max(1).min(left.len());
                left = &mut left[sent..];
            }
        }
    }

    fn length_of_address() -> u32 {
        size_of::<sockaddr_in>() as u32
    }

    fn receive(socket: &UdpSocket, messages: &mut [mmsghdr]) -> io::Result<usize> {
        loop {
            let (fd, count) = (socket.as_raw_fd(), messages.len() as c_uint);
            let flags = libc::MSG_WAITFORONE;
            // SAFETY: `count` messages, whose addresses and pieces are alive in `serve`. No
            // timeout.
            let received = unsafe {
                libc::recvmmsg(fd, messages.as_mut_ptr(), count, flags, ptr::null_mut())
            };
            match usize::try_from(received) {
                Ok(received) => return Ok(received),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn send(socket: &UdpSocket, messages: &mut [mmsghdr]) -> io::Result<usize> {
        let (fd, count) = (socket.as_raw_fd(), messages.len() as c_uint);
        // SAFETY: as for recvmmsg.
        let sent = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(not(target_os = "linux"))]
fn serve(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let (reason, advice) = ("recvmmsg(2) is Linux's", "try udp-server-one-at-a-time");
    Err(common::Failure::new("serve", address, reason, advice))
}

/// Sends back every datagram that comes, up to 64 with a call.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  udp-server-mmsg            listen on localhost, port 12345, for this machine only
  udp-server-mmsg --port 0   listen on any free port, and print which
Then, in another terminal: udp-client
Through cargo: cargo run -q --bin udp-server-mmsg -- --port 0

Exit status:
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It runs until Ctrl-C ends it.";
