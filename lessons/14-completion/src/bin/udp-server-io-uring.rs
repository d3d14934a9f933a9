//! Sends back every datagram, many with one system call: io_uring(7).
//!
//! It belongs to lesson 14, `lessons/14-completion`, and is a rung of UDP's ladder in lesson 15.
//! Run it: `cargo run -q --bin udp-server-io-uring`.
#![allow(
    unsafe_code,
    reason = "the kernel works in our memory after the call has returned"
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
    use std::mem;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use common::{During, Failure, say};
    use io_uring::types::Fd;
    use io_uring::{IoUring, opcode, squeue};
    use libc::{iovec, msghdr, sockaddr_in};

    use super::Arguments;

    /// This many datagrams are on their way at a time. Each has room for the largest there is.
    const BATCH: usize = 64;
    const LARGEST: usize = 65536;
    /// Added to the number of a request that sends. One that receives has the number alone.
    const SEND: u64 = 1 << 32;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        let address = arguments.address.resolve()?;
        let socket = UdpSocket::bind(address).during("bind", address)?;
        let port = socket.local_addr().during("getsockname", address)?.port();

        // Memory that nobody has written to takes up no RAM.
        let mut buffers = vec![0_u8; BATCH * LARGEST];
        // SAFETY: plain data, for which zero is a value.
        let mut clients: [sockaddr_in; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: the same.
        let mut pieces: [iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: the same; null pointers and lengths of zero are "nothing here".
        let mut messages: [msghdr; BATCH] = unsafe { mem::zeroed() };
        let fd = Fd(socket.as_raw_fd());

        let mut ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .build(2 * BATCH as u32)
            .map_err(|error| refused(&error))?;
        say!("Server is listening on port {port}...")?;

        for at in 0..BATCH {
            pieces[at].iov_base = (&raw mut buffers[at * LARGEST]).cast();
            messages[at].msg_iov = &raw mut pieces[at];
            messages[at].msg_iovlen = 1;
            messages[at].msg_name = (&raw mut clients[at]).cast();
            let receive = receive(fd, &mut messages[at]);
            submit(&mut ring, receive.user_data(at as u64))?;
        }

        // Each of them is received into, sent from, received into…
        let mut completions = Vec::with_capacity(2 * BATCH);
        loop {
            // The only system call of the loop, io_uring_enter(2).
            match ring.submit_and_wait(1) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => drop(result.during("io_uring_enter", "the ring")?),
            }
            completions.extend(ring.completion());
            for done in completions.drain(..) {
                let number = done.user_data() & (SEND - 1);
                let message = &mut messages[number as usize];
                // A datagram that could not be sent is lost, as any may be (lesson 11). An
                // error from a receive is about an earlier reply that found nobody.
                let received = done.user_data() == number && done.result() >= 0;
                let next = if received {
                    // Back to where it came from: the address is in the message.
                    let length = done.result().unsigned_abs() as usize;
                    // SAFETY: it points to the piece of this message, set above.
                    unsafe { (*message.msg_iov).iov_len = length };
                    let send = opcode::SendMsg::new(fd, message).build();
                    send.user_data(SEND | number)
                } else {
                    receive(fd, message).user_data(number)
                };
                submit(&mut ring, next)?;
            }
        }
    }

    fn receive(fd: Fd, message: &mut msghdr) -> squeue::Entry {
        message.msg_namelen = size_of::<sockaddr_in>() as u32;
        // SAFETY: it points to the piece of this message, which `serve` has.
        unsafe { (*message.msg_iov).iov_len = LARGEST };
        opcode::RecvMsg::new(fd, message).build()
    }

    /// There is always room: as many entries as there may be requests.
    fn submit(ring: &mut IoUring, entry: squeue::Entry) -> Result<(), Failure> {
        // SAFETY: the messages, and what they point to, live as long as `serve`, which ends
        // after the ring only where it fails, and then with the process.
        let pushed = unsafe { ring.submission().push(&entry) };
        pushed.map_err(io::Error::other).during("submit", "a request")
    }

    fn refused(error: &io::Error) -> Failure {
        let advice = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => {
                "a container or kernel.io_uring_disabled forbids it; try udp-server-mmsg"
            }
            _ => "it needs Linux 6.1; try udp-server-mmsg",
        };
        Failure::new("io_uring_setup", "the ring", &error.to_string(), advice)
    }
}

#[cfg(not(target_os = "linux"))]
fn serve(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let (reason, advice) = ("only Linux has io_uring(7)", "try udp-server-one-at-a-time");
    Err(common::Failure::new("serve", address, reason, advice))
}

/// Sends back every datagram that comes, with io_uring(7).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  udp-server-io-uring            listen on localhost, port 12345, for this machine only
  udp-server-io-uring --port 0   listen on any free port, and print which
Then, in another terminal: udp-client
Through cargo: cargo run -q --bin udp-server-io-uring -- --port 0

Exit status:
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It runs until Ctrl-C ends it.";
