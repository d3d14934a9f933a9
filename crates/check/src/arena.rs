//! The arena in which a check runs: a network of its own, the program under test, and the
//! peers that the check asks for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlab::sockets::{self, Transport};
use netlab::wire::Host;
use socket2::{Domain, Socket, Type};

use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::{GaveUp, Patience};
use crate::peer::{Company, Connection, Datagrams, Listener};
use crate::subject::{Allowance, Recipe, Subject};
use crate::timeline::Timeline;
use crate::wired::Wired;

/// The port that a program uses unless it is told another.
pub const DOCUMENTED_PORT: u16 = 12345;

/// The server's address, when the program and the checker are joined by a wire.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The arena of one check.
#[derive(Debug)]
pub struct Arena<'a> {
    recipe: &'a Recipe,
    timeline: Timeline,
    /// The limits of the program. A check may lower them before it starts the program.
    pub limits: Allowance,
    /// The port that the program is told to use.
    port: u16,
    variables: BTreeMap<String, String>,
    programs: Vec<Arc<Subject>>,
    clients: usize,
    company: Arc<Company>,
    /// The address at which clients reach a server under test.
    host: Ipv4Addr,
    /// The wire between the program and the checker, if the check has asked for one.
    wired: Option<Wired>,
    /// Whether the program may use the documented port, whatever it is told.
    pub(crate) any_port: bool,
    /// Whether this is the host's network, where there can be no wire.
    pub(crate) on_hosts_network: bool,
}

impl<'a> Arena<'a> {
    /// Creates an arena on the calling thread's network.
    pub fn new(
        recipe: &'a Recipe,
        port: u16,
        limits: Allowance,
        timeline: Timeline,
    ) -> Self {
        let variables = BTreeMap::from([("PORT".to_owned(), port.to_string())]);
        Arena {
            recipe,
            timeline,
            limits,
            port,
            variables,
            programs: Vec::new(),
            clients: 0,
            company: Arc::default(),
            host: Ipv4Addr::LOCALHOST,
            wired: None,
            any_port: false,
            on_hosts_network: false,
        }
    }

    /// Puts the program and the checker on two hosts, joined by a wire that follows these
    /// rules, one per line. The variable `HOST` tells the program the server's address.
    pub fn on_a_wire(&mut self, program: Host, rules: &str) -> Outcome {
        let wired = Wired::new(program, rules, self.on_hosts_network)?;
        let (own, rules) = (wired.host(), rules.trim().replace('\n', ", "));
        let rules = if rules.is_empty() { "no rules" } else { &rules };
        self.timeline.does("wire", format!("the program is on host {own}; {rules}"));
        self.tell("HOST", &SERVER.to_string());
        self.host = SERVER;
        self.wired = Some(wired);
        Ok(())
    }

    /// Returns when the wire saw each packet that the program has sent since the last call.
    pub fn sent_at(&self) -> Vec<Duration> {
        let wired = self.wired.as_ref();
        wired.map(|it| it.sent_at(&self.timeline)).unwrap_or_default()
    }

    /// Returns the port that the program is told to use.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells the program to use a port other than the documented one, and accepts no other.
    pub fn move_port(&mut self) {
        const OTHER: u16 = 23456;
        // On the host's network it differs anyway.
        if !self.any_port {
            self.port = if self.port == OTHER { OTHER + 1 } else { OTHER };
            self.variables.insert("PORT".to_owned(), self.port.to_string());
        }
        self.any_port = false;
    }

    /// Tells the program something more: in the variable `name`, and in place of `{name}` in
    /// its command.
    pub fn tell(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts the program, without waiting for anything.
    pub fn start(&mut self) -> Outcome<Arc<Subject>> {
        let start = || {
            let host = self.wired.as_ref().map(Wired::host);
            Subject::start(
                self.recipe,
                self.limits,
                &self.variables,
                &self.timeline,
                host,
            )
        };
        let program = match &self.wired {
            Some(wired) => wired.on_its_host(start)?,
            None => start()?,
        };
        let program = Arc::new(program);
        self.programs.push(Arc::clone(&program));
        Ok(program)
    }

    /// Starts the program and waits until it listens for TCP clients on its port.
    pub fn tcp_server(&mut self) -> Outcome<Arc<Subject>> {
        self.server(Transport::TcpListener, "listens for TCP clients")
    }

    /// Starts the program and waits until it has bound its port for datagrams.
    pub fn udp_server(&mut self) -> Outcome<Arc<Subject>> {
        self.server(Transport::Udp, "has bound its port for UDP datagrams")
    }

    fn server(&mut self, transport: Transport, what: &str) -> Outcome<Arc<Subject>> {
        let program = self.start()?;
        let mut patience = Patience::new(&program);
        loop {
            // Ask the patience first, and answer both questions below from one look: a program
            // that began to listen between two looks would be blamed for listening elsewhere
            // when it listens at the right place.
            let why = patience.tick();
            let waits = program.waits();
            let right = waits.iter().find(|(kind, address)| {
                *kind == transport && self.is_reached_at(*address)
            });
            if let Some((_, address)) = right {
                // By default an IPv6 socket accepts IPv4 as well.
                program.found_at(SocketAddr::new(self.host.into(), address.port()));
                self.timeline.does("program", format!("{what}: {address}"));
                return Ok(program);
            }
            if why.is_some() || !waits.is_empty() && patience.has_rested() {
                return self.no_server(&program, what, waits.first(), why);
            }
            patience.nap();
        }
    }

    /// Returns whether a client that uses the server's address and the port that the
    /// program was told reaches a socket bound to `address`. On the host's network a
    /// program may use the documented port instead.
    fn is_reached_at(&self, address: SocketAddr) -> bool {
        let port = address.port() == self.port
            || self.any_port && address.port() == DOCUMENTED_PORT;
        let host = address.ip();
        port && (host.is_unspecified() || host == IpAddr::from(self.host))
    }

    fn no_server(
        &self,
        program: &Subject,
        what: &str,
        elsewhere: Option<&(Transport, SocketAddr)>,
        why: Option<GaveUp>,
    ) -> Outcome<Arc<Subject>> {
        let expected = format!("the program {what} at {}:{}", self.host, self.port);
        let again = self.programs.len() > 1;
        let words = program.last_words();
        if let Some((transport, address)) = elsewhere {
            let address = match transport {
                Transport::TcpListener => format!("{address}, for TCP clients"),
                Transport::Udp => format!("{address}, for UDP datagrams"),
            };
            let diagnosis = Diagnosis::ListensElsewhere(address.clone());
            return fails_because(
                expected,
                format!("it waits at {address}"),
                Some(diagnosis),
            );
        }
        let got = program.condition();
        let diagnosis = match why {
            Some(GaveUp::Ended) if again => {
                let in_use = words.as_ref().is_some_and(|it| speaks_of_use(it));
                (!in_use).then_some(Diagnosis::NotAgain(words))
            }
            Some(GaveUp::Ended) => Some(Diagnosis::did_not_start(program.ended(), words)),
            Some(GaveUp::Busy) => Some(Diagnosis::NeverRests { at_the_end: false }),
            _ => Some(Diagnosis::NeverBegins),
        };
        fails_because(expected, got, diagnosis)
    }

    /// Connects a client to the server under test.
    pub fn connect(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.connect_as(program, Own::default())
    }

    /// Connects a client with a small receive buffer: the kernel keeps at most 16 KiB for it.
    pub fn connect_narrow(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.connect_as(program, Own { narrow: true, ..Own::default() })
    }

    /// Connects a client, and fails if the connection is not established within half a second:
    /// for a server that is stopped, so that only the kernel answers.
    pub fn connect_at_once(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.connect_as(program, Own { hasty: true, ..Own::default() })
    }

    /// Connects a client, or returns `None` if the connection is not established within half a
    /// second.
    pub fn connect_if_it_can(
        &mut self,
        program: &Arc<Subject>,
    ) -> Outcome<Option<Connection>> {
        let own = Own { hasty: true, ..Own::default() };
        Ok(self.try_connect(program, own)?.ok())
    }

    fn connect_as(&mut self, program: &Arc<Subject>, own: Own) -> Outcome<Connection> {
        match self.try_connect(program, own)? {
            Ok(connection) => Ok(connection),
            Err(error) => fails_because(
                format!("a connection to {}", program.address()?),
                format!("connect: {error}; {}", program.condition()),
                self.company.of_an_end(program),
            ),
        }
    }

    /// Checks that connections are refused now.
    pub fn expect_refusal(&mut self, program: &Arc<Subject>) -> Outcome {
        match self.try_connect(program, Own::default())? {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => fails("connection refused", format!("connect: {error}")),
            Ok(_) => fails("connection refused", "the connection was taken"),
        }
    }

    fn try_connect(
        &mut self,
        program: &Arc<Subject>,
        own: Own,
    ) -> Outcome<std::io::Result<Connection>> {
        let address = program.address()?;
        self.clients += 1;
        let name = format!("client {}", self.clients);
        self.timeline.does(&name, format!("connects to {address}"));
        match open(address, own)? {
            Ok(stream) => {
                let mut client = Connection::new(stream, &name, program, &self.timeline)?;
                client.joins(&self.company);
                Ok(Ok(client))
            }
            Err(error) => {
                self.timeline.does(&name, format!("cannot: {error}"));
                Ok(Err(error))
            }
        }
    }

    /// Opens a socket that sends datagrams to the server under test.
    pub fn datagrams(&mut self, program: &Arc<Subject>) -> Outcome<Datagrams> {
        self.datagrams_from(0, program)
    }

    /// The same, from this port of ours.
    pub fn datagrams_from(
        &mut self,
        port: u16,
        program: &Arc<Subject>,
    ) -> Outcome<Datagrams> {
        self.clients += 1;
        let name = format!("client {}", self.clients);
        let own = self.wired.as_ref().map_or(Ipv4Addr::LOCALHOST, Wired::checkers_host);
        let socket = Datagrams::open(own, port)?;
        Ok(Datagrams::new(socket, &name, program, &self.timeline))
    }

    /// Opens a UDP socket at this address of the checker, to play somebody other than the
    /// server.
    pub fn stranger(
        &self,
        host: Ipv4Addr,
        port: u16,
        program: &Arc<Subject>,
    ) -> Outcome<Datagrams> {
        let socket = Datagrams::open(host, port)?;
        Ok(Datagrams::new(socket, "stranger", program, &self.timeline))
    }

    /// Listens at the port that the program is told to use, to play the server for it.
    pub fn listen(&mut self) -> Outcome<Listener> {
        self.listen_at(self.host.into(), 128)
    }

    /// Listens at another port, and tells the program which one in the variable `name`: to
    /// play the server to which the program, a server itself, must connect.
    pub fn listen_beside(&mut self, name: &str) -> Outcome<Listener> {
        // Take any free port: on the host's network nobody knows which are.
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let mut listener = Listener::new(address, 128, &self.timeline)?;
        listener.joins(&self.company);
        self.tell(name, &listener.address()?.port().to_string());
        Ok(listener)
    }

    /// Tells the program, in the variable `name`, a port at which nobody listens as long as
    /// the returned socket lives. That socket is bound but never listens: a closed listener
    /// could be held open a moment longer by a process that another check is starting.
    pub fn nobody_beside(&mut self, name: &str) -> Outcome<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket();
        self.tell(name, &address.map_or(0, |address| address.port()).to_string());
        Ok(socket)
    }

    /// Like [`Arena::listen`], but at another address and with another backlog.
    pub fn listen_at(&mut self, host: IpAddr, backlog: i32) -> Outcome<Listener> {
        Listener::new(SocketAddr::new(host, self.port), backlog, &self.timeline)
    }

    /// Binds the port that the program is told to use for datagrams, and then starts the
    /// program, to play the server for it.
    pub fn start_udp_client(&mut self) -> Outcome<(Arc<Subject>, Datagrams)> {
        let socket = Datagrams::open(self.host, self.port)?;
        let program = self.start()?;
        let server = Datagrams::new(socket, "server", &program, &self.timeline);
        Ok((program, server))
    }

    /// Returns how many TCP connections have been begun on the program's network, by whomever.
    /// On the host's network that says nothing about the program.
    pub(crate) fn connections_begun(&self) -> Option<u64> {
        match &self.wired {
            _ if self.on_hosts_network => None,
            Some(wired) => wired.on_its_host(|| Ok(sockets::connections_begun())).ok()?,
            None => sockets::connections_begun(),
        }
    }

    /// Waits until the program has begun to connect. Returns a moment soon afterwards, if that
    /// can be observed. `before` connections had been begun before its start.
    pub(crate) fn begins_to_connect(
        &self,
        program: &Subject,
        before: Option<u64>,
    ) -> Option<Instant> {
        let before = before?;
        let mut patience = Patience::new(program);
        while self.connections_begun()? == before {
            if patience.tick().is_some() {
                return None;
            }
            patience.nap();
        }
        Some(Instant::now())
    }

    /// Returns whether IPv6 works on this network.
    pub fn has_ipv6(&self) -> bool {
        std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    /// Describes the state of the program that was started last, for a report.
    pub fn condition(&self) -> Option<String> {
        self.programs.last().map(|program| program.condition())
    }

    /// Returns the limit that a program was stopped for exceeding, if one was.
    pub fn limit(&self) -> Option<String> {
        self.programs.iter().find_map(|program| program.stopped())
    }

    /// Returns the error message of the program that was started last, if it printed one.
    pub fn last_words(&self) -> Option<String> {
        self.programs.last().and_then(|program| program.last_words())
    }

    /// Ends all programs.
    pub fn clear(&mut self) {
        // Put what the wire did on the timeline.
        self.sent_at();
        for program in self.programs.drain(..) {
            let wired = self.wired.as_ref();
            program.stop_on_a_wire(|| {
                wired.map(|it| it.seen(&self.timeline)).unwrap_or_default()
            });
        }
    }
}

/// Returns whether a program's message says that the address is in use.
fn speaks_of_use(words: &str) -> bool {
    let words = words.to_lowercase();
    ["in use", "eaddrinuse", "addrinuse"].iter().any(|part| words.contains(part))
}

/// Options of a client of ours.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    /// It has a small receive buffer.
    narrow: bool,
    /// It does not wait long for its connection.
    hasty: bool,
}

/// Connects. The inner error is the answer to it; for want of a descriptor or of memory there
/// was none, and that is no fault of the program's.
fn open(address: SocketAddr, own: Own) -> Outcome<std::io::Result<TcpStream>> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if own.narrow {
        // This must come before connect(2): the first segment already offers a window.
        socket.set_recv_buffer_size(16 * 1024)?;
    }
    let within = Duration::from_millis(if own.hasty { 500 } else { 5000 });
    Ok(socket.connect_timeout(&address.into(), within).map(|()| socket.into()))
}
