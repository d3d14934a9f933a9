//! Reading the command line, and the options `--host`, `--port` and `--message`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::ops::Deref;
use std::process;

use clap::Parser;
use clap::builder::{
    OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory,
};

use crate::{During, Failure, Visible, is_hidden};

/// Parses the command line like [`Parser::parse`]. When a word is not understood, it
/// quotes the word without anything that a terminal would obey: the word may come from a
/// script.
pub fn parse_arguments<T: Parser>() -> T {
    let hides = |word: OsString| word.to_string_lossy().chars().any(is_hidden);
    T::try_parse().unwrap_or_else(|error| {
        if std::env::args_os().any(hides) {
            // Without colours, so that anything left that a terminal would obey is from
            // the word.
            let message = error.to_string();
            for line in message.lines() {
                let _ = writeln!(io::stderr(), "{}", Visible(line.as_bytes()));
            }
            process::exit(error.exit_code());
        }
        error.exit()
    })
}

/// `--host` and `--port`: where a server listens, and where a client finds it.
///
/// The default is `localhost`, port 12345.
#[derive(clap::Args, Clone, Debug)]
pub struct Address {
    /// IPv4 address, or a name that has one
    #[arg(long, default_value = "localhost")]
    host: String,

    /// Port; a server given 0 takes any free one, and prints which
    #[arg(long, default_value_t = 12345)]
    port: u16,
}

impl Address {
    /// Looks up the host and returns its first IPv4 address with the port, as Python's
    /// `AF_INET` socket does.
    ///
    /// `localhost` is 127.0.0.1 without a look-up (RFC 6761 §6.3), so that it means the
    /// same on a machine whose hosts file puts `::1` first. An IPv4 literal needs no
    /// look-up either. For any other name, the system is asked: getaddrinfo(3).
    ///
    /// # Errors
    /// The host is unknown, cannot be looked up now, or has only IPv6 addresses.
    pub fn resolve(&self) -> Result<SocketAddr, Failure> {
        let Self { host, port } = self;
        if host == "localhost" {
            return Ok((Ipv4Addr::LOCALHOST, *port).into());
        }
        let found = (host.as_str(), *port).to_socket_addrs().during("resolve", host)?;
        found.into_iter().find(SocketAddr::is_ipv4).ok_or_else(|| {
            let reason =
                "it has only IPv6 addresses, and this program speaks IPv4 (AF_INET)";
            Failure::new("resolve", host, reason, "try --host 127.0.0.1")
        })
    }
}

/// `--message`: the bytes to send, exactly as they were on the command line.
///
/// On Unix, these are any bytes but NUL; they need not be UTF-8. On Windows they are
/// UTF-8, and an argument with a lone surrogate, which UTF-8 cannot encode, is an error
/// in the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Lets clap parse an argument of type [`Message`].
impl ValueParserFactory for Message {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        OsStringValueParser::new().try_map(|argument| bytes(argument).map(Message)).into()
    }
}

#[cfg(unix)]
fn bytes(argument: OsString) -> Result<Vec<u8>, &'static str> {
    Ok(std::os::unix::ffi::OsStringExt::into_vec(argument))
}

#[cfg(not(unix))]
fn bytes(argument: OsString) -> Result<Vec<u8>, &'static str> {
    argument.into_string().map(String::into_bytes).map_err(|_| "not Unicode")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        address: Address,
        #[arg(long, default_value = "Hello", allow_hyphen_values = true)]
        message: Message,
    }

    fn parse(arguments: &[&str]) -> Arguments {
        Arguments::parse_from([&["program"], arguments].concat())
    }

    #[test]
    fn default_is_loopback_over_ipv4() {
        let arguments = parse(&[]);
        assert_eq!(arguments.address.resolve().unwrap().to_string(), "127.0.0.1:12345");
        assert_eq!(&*arguments.message, b"Hello");
    }

    #[test]
    fn address_may_be_any_ipv4_literal() {
        let address = parse(&["--host", "0.0.0.0", "--port", "0"]).address;
        assert_eq!(address.resolve().unwrap().to_string(), "0.0.0.0:0");
    }

    #[test]
    fn ipv6_is_refused_with_its_reason() {
        let failure = parse(&["--host", "::1"]).address.resolve().unwrap_err();
        assert!(failure.to_string().contains("only IPv6 addresses"), "{failure}");
    }

    #[test]
    fn message_is_taken_as_it_is() {
        assert_eq!(&*parse(&["--message", ""]).message, b"");
        assert_eq!(&*parse(&["--message", "--port"]).message, b"--port");
        assert_eq!(&*parse(&["--message", "é\n"]).message, b"\xc3\xa9\n");
    }

    #[cfg(unix)]
    #[test]
    fn message_need_not_be_utf8() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let bytes = OsStr::from_bytes(b"\xff\x1b");
        let arguments = [OsStr::new("program"), OsStr::new("--message"), bytes];
        assert_eq!(&*Arguments::parse_from(arguments).message, b"\xff\x1b");
    }
}
