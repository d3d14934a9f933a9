//! Both ends of one TCP connection, and every call on it made by the kernel: io_uring(7) in its
//! smallest form. Requests go into one ring, and their results come in another.
//!
//! It belongs to lesson 14, `lessons/14-completion`. Run it:
//! `cargo run -q --bin tcp-both-ends-ring`.
#![allow(
    unsafe_code,
    reason = "the kernel works in our memory after the call has returned"
)]

use std::process::ExitCode;

use clap::Parser;
use common::{Address, exit_code, parse_arguments};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

#[cfg(target_os = "linux")]
use linux::run;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::AsRawFd;

    use common::{During, Escaped, Failure, say};
    use io_uring::types::Fd;
    use io_uring::{IoUring, opcode, squeue};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    /// Numbers of our choice: a completion has the one of its request.
    const RECEIVE: u64 = 1;
    const SEND: u64 = 2;
    const CLOSE: u64 = 3;

    pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
        // Both ends, as in lesson 1.
        let address = arguments.address.resolve()?;
        let tcp = || Socket::new(Domain::IPV4, Type::STREAM, None);
        let listener = tcp().during("socket", "TCP over IPv4")?;
        listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
        listener.bind(&address.into()).during("bind", address)?;
        listener.listen(1).during("listen", address)?;
        let local_address = listener.local_addr().during("getsockname", address)?;
        let client = tcp().during("socket", "TCP over IPv4")?;
        client.connect(&local_address).during("connect", address)?;
        let (server, _) = listener.accept().during("accept", address)?;

        let mut ring = IoUring::new(8).map_err(|error| {
            let advice = "does a container or kernel.io_uring_disabled forbid it?";
            Failure::new("io_uring_setup", "8 entries", &error.to_string(), advice)
        })?;
        let mut buffer = [0_u8; 100];
        let message = b"hello";

        // There is nothing to receive yet: recv(2) would wait here. This does not, and the
        // socket has no O_NONBLOCK. The kernel knows where the bytes are to go.
        let fd = Fd(server.as_raw_fd());
        let receive = opcode::Recv::new(fd, buffer.as_mut_ptr(), buffer.len() as u32);
        ask(&mut ring, receive.build().user_data(RECEIVE))?;
        let fd = Fd(client.as_raw_fd());
        let send = opcode::Send::new(fd, message.as_ptr(), message.len() as u32);
        ask(&mut ring, send.build().user_data(SEND))?;
        say!("asked for: 1 to receive up to 100 bytes, 2 to send 5 bytes")?;
        show(&mut ring)?;

        // One system call hands both over, and waits until both are done.
        let handed_over = ring.submit_and_wait(2).during("io_uring_enter", "the ring")?;
        say!("one io_uring_enter(2): {handed_over} handed over, and waited for")?;
        show(&mut ring)?;
        for done in ring.completion() {
            let result = done.result();
            match done.user_data() {
                RECEIVE => {
                    let length = usize::try_from(result).unwrap_or(0);
                    say!("done: 1 received {}", Escaped(&buffer[..length]))?;
                }
                _ => say!("done: 2 sent {result} bytes")?,
            }
        }

        show(&mut ring)?;

        // A request that fails says so the same way: a negative errno as its result.
        let send = opcode::Send::new(Fd(-1), message.as_ptr(), 5).build().user_data(SEND);
        let close = opcode::Shutdown::new(Fd(client.as_raw_fd()), libc::SHUT_WR).build();
        ask(&mut ring, send)?;
        ask(&mut ring, close.user_data(CLOSE))?;
        ring.submit_and_wait(2).during("io_uring_enter", "the ring")?;
        for done in ring.completion() {
            let what = if done.user_data() == CLOSE { "3 half-close" } else { "2 send" };
            let result = match done.result() {
                error if error == -libc::EBADF => {
                    "-EBADF, there is no descriptor -1".into()
                }
                result => result.to_string(),
            };
            say!("done: {what}: {result}")?;
        }
        Ok(())
    }

    /// How many entries each ring holds: the distance from its head, which one side moves, to
    /// its tail, which the other moves. Both lie in memory that we share with the kernel.
    fn show(ring: &mut IoUring) -> Result<(), Failure> {
        let requests = ring.submission().len();
        say!("the rings: {requests} requests, {} completions", ring.completion().len())
    }

    /// Puts a request into the ring. The kernel does not look there before io_uring_enter(2).
    fn ask(ring: &mut IoUring, request: squeue::Entry) -> Result<(), Failure> {
        // SAFETY: `buffer` and `message` of `run` live until the completion, which it awaits.
        let asked = unsafe { ring.submission().push(&request) };
        asked.map_err(io::Error::other).during("submit", "a request")
    }
}

#[cfg(not(target_os = "linux"))]
fn run(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let (reason, advice) = ("only Linux has io_uring(7)", "read on");
    Err(common::Failure::new("connect", address, reason, advice))
}

/// Sends five bytes to itself, with io_uring(7).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-ring            over port 12345 of this machine
  tcp-both-ends-ring --port 0   over any free port
Through cargo: cargo run -q --bin tcp-both-ends-ring -- --port 0

Exit status:
  0  the bytes went and came
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
