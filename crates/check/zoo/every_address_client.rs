//! Lesson 6's client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::{Flaw, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let hosts = std::env::var("HOSTS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let mut hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
    if flaw.is("backwards") {
        hosts.reverse();
    }
    if flaw.is("ignores-hosts") {
        hosts = vec!["127.0.0.1".to_owned()];
    }
    let mut errors = Vec::new();
    let mut connected = Vec::new();
    for host in hosts {
        let address: IpAddr = host.parse().map_err(io::Error::other)?;
        if address.is_ipv6() && flaw.is("ipv4-alone") {
            continue;
        }
        let address = SocketAddr::new(address, port(flaw));
        let each_ms = if flaw.is("patient") { 1500 } else { 500 };
        let stream = match flaw.is("no-timeout") {
            true => TcpStream::connect(address),
            false => TcpStream::connect_timeout(&address, Duration::from_millis(each_ms)),
        };
        if stream.is_err() && flaw.is("pauses") {
            thread::sleep(Duration::from_millis(1500));
        }
        match stream {
            Ok(stream) => connected.push((host, stream)),
            Err(error) if flaw.is("first-only") => return Err(error),
            Err(error) if flaw.is("refused-only") => match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::TimedOut => {
                    errors.push(format!("{host}: {error}"));
                }
                _ => return Err(error),
            },
            Err(error) => errors.push(format!("{host}: {error}")),
        }
        if !connected.is_empty() && !flaw.is("all") {
            break;
        }
    }
    let Some((host, mut stream)) = connected.into_iter().next() else {
        let last = match flaw.is("last-error") {
            true => errors.pop().unwrap_or_default(),
            false => errors.join("\n"),
        };
        return Err(io::Error::other(last));
    };
    let line: &[u8] = if flaw.is("no-newline") { b"Hello" } else { b"Hello\n" };
    stream.write_all(line)?;
    match flaw.is("other-words") {
        true => println!("connected to {host}:{}", port(flaw)),
        false => println!("connected to {host}"),
    }
    if flaw.is("half-closes") {
        stream.shutdown(Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}
