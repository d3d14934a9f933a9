//! The zoo: programs that do what a task asks, and variants that are each wrong in one way.
//! `zoo TASK FLAW` runs one; with the flaw `none` it is the correct program.
//!
//! The checks are tested against it: `mutants.txt` says which of them must catch which flaw.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "some flaws are in the printing"
)]

mod chat;
mod confirm_client;
mod download;
mod drain;
mod every_address_client;
mod first_client;
mod framing;
mod goodbye;
mod http;
mod json_lines;
mod load;
mod nasty;
mod once_server;
mod proxy;
mod queue;
mod resp;
mod retry_client;
mod sealed_file;
mod services;
mod slow_readers;
mod steady_client;
mod tcp_echo;
mod tcp_echo_client;
mod udp_echo;
mod udp_echo_client;
mod udp_key_value;
mod whoami;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;

use socket2::{Domain, Socket, Type};

/// The one thing that is wrong with this run.
#[derive(Debug, Clone)]
struct Flaw(String);

impl Flaw {
    /// Returns whether it is the flaw with this name.
    fn is(&self, name: &str) -> bool {
        self.0 == name
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    let flaw = Flaw(arguments.next().unwrap_or_default());
    let result = match task.as_str() {
        "whoami" => whoami::run(&flaw),
        "queue" => queue::run(&flaw),
        "chat" => chat::run(&flaw),
        "proxy" => proxy::run(&flaw),
        "http" => http::run(&flaw),
        "json-lines" => json_lines::run(&flaw),
        "resp" => resp::run(&flaw),
        "udp-key-value" => udp_key_value::run(&flaw),
        "confirm-client" => confirm_client::run(&flaw),
        "every-address-client" => every_address_client::run(&flaw),
        "first-client" => first_client::run(&flaw),
        "framing" => framing::run(&flaw),
        "download" => download::run(&flaw),
        "goodbye" => goodbye::run(&flaw),
        "retry-client" => retry_client::run(&flaw),
        "once-server" => once_server::run(&flaw),
        "steady-client" => steady_client::run(&flaw),
        "load" => load::run(&flaw),
        "sealed-file" => sealed_file::run(&flaw),
        "drain" => drain::run(&flaw),
        "crowd" | "slow-readers" => slow_readers::run(&flaw),
        "nasty" => nasty::run(&flaw),
        "tcp-echo" => tcp_echo::run(&flaw),
        "tcp-echo-client" => tcp_echo_client::run(&flaw),
        "udp-echo" => udp_echo::run(&flaw),
        "udp-echo-client" => udp_echo_client::run(&flaw),
        name if name.starts_with("rfc") && name.ends_with("-udp") => {
            services::run_udp(name, &flaw)
        }
        name if name.starts_with("rfc") => services::run_tcp(name, &flaw),
        _ => Err(io::Error::other(format!("no such task: {task}"))),
    };
    match result {
        Ok(()) if flaw.is("exit-1") => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if flaw.is("exit-0") => ExitCode::SUCCESS,
        Err(_) if flaw.is("speechless") => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{task}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the port from the environment, or the documented one.
fn port(flaw: &Flaw) -> u16 {
    if flaw.is("ignores-port") {
        return 12345;
    }
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    port.unwrap_or(12345)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Returns 127.0.0.1 as an IPv4-mapped IPv6 address, since a Java virtual machine makes
/// only IPv6 sockets. That is not a flaw. On a kernel without IPv6, returns the IPv4
/// address.
fn mapped(port: u16) -> SocketAddr {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
    match Socket::new(Domain::IPV6, Type::STREAM, None) {
        Ok(_) => address,
        Err(_) => loopback(port),
    }
}

/// Serves each client on a thread of its own, with the flaws that such servers share. With the
/// flaw `ends`, an error on one connection ends the program.
fn serve_each(
    flaw: &Flaw,
    ends: &str,
    serve: fn(&Flaw, TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    let ends = flaw.is(ends);
    loop {
        let (client, _) = listener.accept()?;
        keeps_something(flaw)?;
        if flaw.is("one-by-one") {
            let _ = serve(flaw, client);
            continue;
        }
        let flaw = flaw.clone();
        let copy = flaw.is("leaks-reset").then(|| client.try_clone());
        thread::spawn(move || {
            let failed = serve(&flaw, client).is_err();
            if failed && ends {
                std::process::exit(1);
            }
            if failed {
                std::mem::forget(copy);
            }
        });
    }
}

/// Opens a TCP listener, with the flaws that all servers share.
fn tcp_listener(flaw: &Flaw) -> io::Result<TcpListener> {
    let port = if flaw.is("wrong-port") { port(flaw) + 1 } else { port(flaw) };
    let address = match () {
        () if flaw.is("everywhere") => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        () if flaw.is("other-host") => SocketAddr::from(([127, 0, 0, 2], port)),
        () if flaw.is("mapped") => mapped(port),
        () => loopback(port),
    };
    if flaw.is("never-listens") {
        for_ever();
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if !flaw.is("no-reuse") {
        socket.set_reuse_address(true)?;
    }
    #[cfg(unix)]
    if flaw.is("reuse-port") {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    spins(flaw);
    let backlog = if flaw.is("backlog-1") { 1 } else { 128 };
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Binds a UDP socket, with the flaws that all servers share.
fn udp_socket(flaw: &Flaw) -> io::Result<UdpSocket> {
    let port = if flaw.is("wrong-port") { port(flaw) + 1 } else { port(flaw) };
    let address = match () {
        () if flaw.is("everywhere") => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        () if flaw.is("other-host") => SocketAddr::from(([127, 0, 0, 2], port)),
        () if flaw.is("mapped") => mapped(port),
        () => loopback(port),
    };
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    #[cfg(unix)]
    if flaw.is("reuse-port") {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    spins(flaw);
    Ok(socket.into())
}

/// With the flaw of this name, a thread never waits.
fn spins(flaw: &Flaw) {
    if flaw.is("spins") {
        thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
}

/// Leaks something for each client that a server accepts, without any sign in what it sends.
fn keeps_something(flaw: &Flaw) -> io::Result<()> {
    match () {
        // Leak a process that nobody waits for, a thread that never ends, or memory.
        () if flaw.is("zombies") => drop(std::process::Command::new("true").spawn()?),
        () if flaw.is("keeps-threads") => drop(thread::spawn(|| for_ever())),
        () if flaw.is("keeps-memory") => drop(vec![1_u8; 1 << 20].leak()),
        () => {}
    }
    Ok(())
}

/// Closes the connection with a reset.
fn reset(stream: TcpStream) -> io::Result<()> {
    let socket = Socket::from(stream);
    socket.set_linger(Some(std::time::Duration::ZERO))
}

/// Blocks for ever.
fn for_ever() -> ! {
    loop {
        thread::park();
    }
}

fn escaped(bytes: &[u8]) -> String {
    common::Escaped(bytes).to_string()
}
