//! The one form of an error: `CALL OBJECT: reason (ERRNO); what to do next`.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use socket2::SockAddr;

use crate::Escaped;

/// What went wrong, as one line without a full stop: `bind 127.0.0.1:12345: address
/// already in use (EADDRINUSE); is another server running? try --port 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// Creates a failure that the program itself found, rather than the kernel.
    ///
    /// `call` is the system call, `object` what it was applied to, `advice` what to do
    /// next.
    pub fn new(call: &str, object: impl Display, reason: &str, advice: &str) -> Self {
        // The object may be a host name that the user typed, and no terminal may obey it.
        let object = object.to_string();
        let object = Escaped(object.as_bytes());
        let separator = if advice.is_empty() { "" } else { "; " };
        Self(format!("{call} {object}: {reason}{separator}{advice}"))
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Adds to an [`io::Error`] which call failed: `listener.listen(128).during("listen",
/// address)?`.
pub trait During<T> {
    /// Turns the error into a [`Failure`] that names the call, its object, the reason
    /// with its `errno`, and what to do next.
    ///
    /// # Errors
    /// The error of the call if it failed, in the form above.
    fn during(self, call: &str, object: impl Display) -> Result<T, Failure>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, call: &str, object: impl Display) -> Result<T, Failure> {
        self.map_err(|error| {
            let (errno, mut reason) = reason(&error);
            if (call, errno) == ("send", "EAGAIN") {
                reason = "nothing was taken in time (EAGAIN)".into();
            }
            Failure::new(call, object, &reason, advice(call, errno))
        })
    }
}

/// Takes the place of an `errno` when our own time limit has expired: the kernel has
/// reported no error.
const OUR_LIMIT: &str = "our limit";

/// The name of the `errno` ("" if it has none here), and the reason.
///
/// The words are ours, so that they are the same on every system; those of strerror(3)
/// differ. An error that std or socket2 made up itself has no number, so it gets no
/// `errno` here.
fn reason(error: &io::Error) -> (&'static str, String) {
    // From socket2's connect_timeout; no call to the kernel returned this.
    if error.kind() == ErrorKind::TimedOut && error.raw_os_error().is_none() {
        return (OUR_LIMIT, "no answer in time".into());
    }
    let known = error.raw_os_error().and_then(|number| known(error.kind(), number));
    let Some((errno, words)) = known else {
        // std says "failed to look up address information: Name or service not known".
        let text = error.to_string();
        let text = text.rsplit(": ").next().unwrap_or(&text).trim_end_matches('.');
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        return ("", first.into_iter().chain(letters).collect());
    };
    (errno, format!("{words} ({errno})"))
}

fn known(kind: ErrorKind, number: i32) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        ErrorKind::AddrInUse => ("EADDRINUSE", "address already in use"),
        ErrorKind::AddrNotAvailable => ("EADDRNOTAVAIL", "address not available"),
        ErrorKind::BrokenPipe => ("EPIPE", "broken pipe"),
        ErrorKind::ConnectionAborted => ("ECONNABORTED", "connection aborted"),
        ErrorKind::ConnectionRefused => ("ECONNREFUSED", "connection refused"),
        ErrorKind::ConnectionReset => ("ECONNRESET", "connection reset by peer"),
        ErrorKind::HostUnreachable => ("EHOSTUNREACH", "no route to host"),
        ErrorKind::Interrupted => ("EINTR", "interrupted by a signal"),
        ErrorKind::InvalidInput => ("EINVAL", "invalid argument"),
        ErrorKind::NetworkUnreachable => ("ENETUNREACH", "network is unreachable"),
        ErrorKind::NotConnected => ("ENOTCONN", "not connected"),
        ErrorKind::PermissionDenied if cfg!(unix) && number == 1 => {
            ("EPERM", "operation not permitted")
        }
        ErrorKind::PermissionDenied => ("EACCES", "permission denied"),
        ErrorKind::StorageFull => ("ENOSPC", "no space left on device"),
        ErrorKind::TimedOut => ("ETIMEDOUT", "timed out"),
        ErrorKind::WouldBlock => ("EAGAIN", "nothing came in time"),
        // std has no kind for these. The number identifies them, and differs between
        // systems.
        _ => match number {
            EAFNOSUPPORT => ("EAFNOSUPPORT", "address family not supported"),
            EMFILE => ("EMFILE", "too many open files"),
            EMSGSIZE => ("EMSGSIZE", "message too long"),
            _ => return None,
        },
    })
}

const EAFNOSUPPORT: i32 = match () {
    () if cfg!(windows) => 10047,
    () if cfg!(target_os = "linux") => 97,
    () => 47,
};
const EMFILE: i32 = if cfg!(windows) { 10024 } else { 24 };
/// Windows has no such limit.
const ENFILE: i32 = if cfg!(windows) { EMFILE } else { 23 };
const EMSGSIZE: i32 = match () {
    () if cfg!(windows) => 10040,
    () if cfg!(target_os = "linux") => 90,
    () => 40,
};

/// Whether the process or the whole machine has run out of file descriptors: `EMFILE` or
/// `ENFILE`. std has no [`ErrorKind`] for this.
///
/// After that, accept(2) fails again at once, so whoever calls it in a loop must do
/// something about it first.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|number| number == EMFILE || number == ENFILE)
}

fn advice(call: &str, errno: &str) -> &'static str {
    match (call, errno) {
        ("bind" | "listen", "EADDRINUSE") => "is another server running? try --port 0",
        ("bind", "EADDRNOTAVAIL") => {
            "no interface of this machine has it; try --host localhost"
        }
        ("bind", "EACCES") => "a port this low is for root; try --port 12345",
        ("connect", "EADDRNOTAVAIL") => {
            "we have no address or no port to come from; is it IPv6, and is that up here?"
        }
        ("connect", "ECONNREFUSED") => "nobody listens there; start the server first",
        ("connect", "ETIMEDOUT" | OUR_LIMIT) => {
            "is the host up, or does a firewall drop the packets?"
        }
        (_, "EHOSTUNREACH") => "nobody there has that address; is the host up?",
        (_, "ENETUNREACH") => "no route leads there; is the network up?",
        ("recv", "ECONNRESET") => {
            "the peer died, or closed before it had read everything"
        }
        ("send", "ECONNRESET" | "EPIPE") => "the peer has closed the connection",
        ("send", "EAGAIN") => "the peer does not receive; does it wait for us to?",
        ("sendto" | "sendmsg", "EMSGSIZE") => {
            "over IPv4 a datagram carries at most 65507 bytes"
        }
        ("sendto", "EINVAL") => "is the port 0? nobody can receive there",
        ("sendto", "EACCES") => "is it a broadcast address? that needs SO_BROADCAST",
        ("write", "EPIPE") => "whoever read this output is gone",
        ("write", "ENOSPC") => "make room, or write elsewhere",
        ("resolve", _) => "is the name right? 127.0.0.1 needs no look-up",
        ("socket", "EAFNOSUPPORT") => "does this machine have IPv6?",
        (_, "EMFILE") => "see ulimit -n",
        _ => "",
    }
}

/// Converts an address from socket2's type to std's.
///
/// # Errors
/// The address is of another family, which never happens with an `AF_INET` socket.
pub fn internet_address(address: &SockAddr) -> Result<SocketAddr, Failure> {
    address.as_socket().ok_or_else(|| {
        Failure::new("address", format!("{address:?}"), "neither IPv4 nor IPv6", "")
    })
}

/// Writes the failure to stderr as one line. If stderr is closed, there is nowhere left
/// to say so.
pub fn report(failure: &Failure) {
    let _ = io::stderr().write_all(format!("{failure}\n").as_bytes());
}

/// The exit code that every `main` returns: 0, or 1 with the failure on stderr. (clap
/// exits with 2.)
pub fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    fn line(call: &str, object: &str, error: io::Error) -> String {
        Err::<(), _>(error).during(call, object).unwrap_err().to_string()
    }

    /// An error from the kernel, with its number.
    fn address_in_use() -> io::Error {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        UdpSocket::bind(socket.local_addr().unwrap()).unwrap_err()
    }

    fn nothing_to_receive() -> io::Error {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.recv(&mut [0]).unwrap_err()
    }

    #[test]
    fn failure_is_one_line_with_the_errno_and_what_to_do() {
        assert_eq!(
            line("bind", "127.0.0.1:12345", address_in_use()),
            "bind 127.0.0.1:12345: address already in use (EADDRINUSE); \
             is another server running? try --port 0"
        );
    }

    #[test]
    fn timeout_means_one_thing_for_send_and_another_for_recv() {
        let line = |call| line(call, "127.0.0.1:1", nothing_to_receive());
        assert_eq!(line("recv"), "recv 127.0.0.1:1: nothing came in time (EAGAIN)");
        assert_eq!(
            line("send"),
            "send 127.0.0.1:1: nothing was taken in time (EAGAIN); \
             the peer does not receive; does it wait for us to?"
        );
    }

    #[test]
    fn our_own_limit_of_time_is_no_error_of_the_kernel() {
        let made_up = io::Error::new(ErrorKind::TimedOut, "connection timed out");
        assert_eq!(
            line("connect", "192.0.2.1:1", made_up),
            "connect 192.0.2.1:1: no answer in time; \
             is the host up, or does a firewall drop the packets?"
        );
        // Nor does any other error without a number.
        assert_eq!(
            line("connect", "192.0.2.1:1", ErrorKind::AddrInUse.into()),
            "connect 192.0.2.1:1: address in use"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn kernel_gives_up_and_says_so() {
        const ETIMEDOUT: i32 = 110;
        assert_eq!(
            line("connect", "192.0.2.1:1", io::Error::from_raw_os_error(ETIMEDOUT)),
            "connect 192.0.2.1:1: timed out (ETIMEDOUT); \
             is the host up, or does a firewall drop the packets?"
        );
    }

    /// On Windows, number 1 is a different error.
    #[cfg(unix)]
    #[test]
    fn no_advice_leaves_no_semicolon() {
        assert_eq!(
            line("accept", "127.0.0.1:1", io::Error::from_raw_os_error(1)),
            "accept 127.0.0.1:1: operation not permitted (EPERM)"
        );
    }

    #[test]
    fn error_that_has_no_kind_in_std_is_known_by_its_number() {
        for (number, words) in [
            (EMSGSIZE, "message too long (EMSGSIZE)"),
            (EMFILE, "too many open files (EMFILE); see ulimit -n"),
            (
                EAFNOSUPPORT,
                "address family not supported (EAFNOSUPPORT); does this machine have IPv6?",
            ),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(line("socket", "UDP", error), format!("socket UDP: {words}"));
        }
    }

    #[test]
    fn resolvers_own_words_are_shortened() {
        let text = "failed to look up address information: Name or service not known";
        assert_eq!(
            line("resolve", "nowhere", io::Error::other(text)),
            "resolve nowhere: name or service not known; \
             is the name right? 127.0.0.1 needs no look-up"
        );
    }

    #[test]
    fn object_that_a_terminal_would_obey_is_escaped() {
        let failure = Failure::new("resolve", "\x1b[2J\n", "no", "");
        assert_eq!(failure.to_string(), r"resolve \x1b[2J\n: no");
    }
}
