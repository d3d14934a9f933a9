//! Where a check is played: a network of its own, the program under test, and the peers
//! that the check asks for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use netlab::sockets::Transport;
use netlab::wire::Host;
use socket2::{Domain, Socket, Type};

use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::{GaveUp, Patience};
use crate::peer::{Company, Connection, Datagrams, Listener};
use crate::subject::{Allowance, Recipe, Subject};
use crate::timeline::Timeline;
use crate::wired::Wired;

/// The port that a program uses which is told no other.
pub const DOCUMENTED_PORT: u16 = 12345;

/// The server's address on a wire.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The setting of one check.
#[derive(Debug)]
pub struct Arena<'a> {
    recipe: &'a Recipe,
    timeline: Timeline,
    /// What the program may use. A check may lower it before it starts the program.
    pub limits: Allowance,
    /// The port that the program is told.
    port: u16,
    variables: BTreeMap<String, String>,
    programs: Vec<Arc<Subject>>,
    clients: usize,
    company: Arc<Company>,
    /// The address at which a server under test is found.
    host: Ipv4Addr,
    /// The wire between the program and the checker, where a check has asked for one.
    wired: Option<Wired>,
    /// Whether a program may keep to the documented port, whatever it is told.
    pub(crate) any_port: bool,
    /// Whether it is the host's network, on which no wire can be laid.
    pub(crate) on_hosts_network: bool,
}

impl<'a> Arena<'a> {
    /// An arena on the calling thread's network.
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

    /// Puts the program and the checker on two hosts, and between them a wire that does what
    /// these rules say, a line each. `HOST` tells the program the server's address.
    pub fn on_a_wire(&mut self, program: Host, rules: &str) -> Outcome {
        let wired = Wired::new(program, rules, self.on_hosts_network)?;
        let (own, rules) = (wired.name(), rules.trim().replace('\n', ", "));
        let rules = if rules.is_empty() { "no rules" } else { &rules };
        self.timeline.does("wire", format!("the program is on host {own}; {rules}"));
        self.tell("HOST", &SERVER.to_string());
        self.host = SERVER;
        self.wired = Some(wired);
        Ok(())
    }

    /// When the wire saw each packet of the program's since this was asked last.
    pub fn sent_at(&self) -> Vec<Duration> {
        self.wired.as_ref().map(Wired::sent_at).unwrap_or_default()
    }

    /// The port that the program is told.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells the program another port than the documented one, and takes no other.
    pub fn move_port(&mut self) {
        const OTHER: u16 = 23456;
        // On the host's network it is another one anyway.
        if !self.any_port {
            self.port = if self.port == OTHER { OTHER + 1 } else { OTHER };
            self.variables.insert("PORT".to_owned(), self.port.to_string());
        }
        self.any_port = false;
    }

    /// Tells the program something more: the variable `name`, and `{name}` in its command.
    pub fn tell(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts the program and does not wait for anything.
    pub fn start(&mut self) -> Outcome<Arc<Subject>> {
        let start =
            || Subject::start(self.recipe, self.limits, &self.variables, &self.timeline);
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
            // Patience first, and one look for both questions: a program that begins to listen
            // between two looks would be blamed for listening elsewhere, at the right place.
            let why = patience.tick();
            let waits = program.waits();
            let right = waits.iter().find(|(kind, address)| {
                *kind == transport && self.is_reached_at(*address)
            });
            if let Some((_, address)) = right {
                // By default a socket of IPv6 takes IPv4 as well.
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

    /// Whether a client of the server's address and the port that the program was told may find a socket
    /// there. On the host's network a program may keep to the documented port.
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

    /// A client that connects to the server under test.
    pub fn connect(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.connect_as(program, Own::default())
    }

    /// A client whose kernel keeps little for it: 16 KiB that it has not read.
    pub fn connect_narrow(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.connect_as(program, Own { narrow: true, ..Own::default() })
    }

    /// A client that is turned away if its connection does not stand within half a second:
    /// for a server that stands still, so that the kernel alone answers.
    pub fn connect_at_once(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.connect_as(program, Own { hasty: true, ..Own::default() })
    }

    /// A client that is no failure if its connection does not stand within half a second.
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

    /// Sees that nobody can connect any more.
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
        match open(address, own) {
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

    /// A socket that sends datagrams to the server under test.
    pub fn datagrams(&mut self, program: &Arc<Subject>) -> Outcome<Datagrams> {
        self.datagrams_from(0, program)
    }

    /// The same from this port of ours.
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

    /// A UDP socket at this address of the checker's, which is not the server's.
    pub fn stranger(
        &self,
        host: Ipv4Addr,
        port: u16,
        program: &Arc<Subject>,
    ) -> Outcome<Datagrams> {
        let socket = Datagrams::open(host, port)?;
        Ok(Datagrams::new(socket, "stranger", program, &self.timeline))
    }

    /// Listens at the program's port, to play the server for it.
    pub fn listen(&mut self) -> Outcome<Listener> {
        self.listen_at(self.host.into(), 128)
    }

    /// Listens at a port beside the program's own, and tells the program which, by this
    /// variable: to play a server that the program, a server itself, is to reach.
    pub fn listen_beside(&mut self, name: &str) -> Outcome<Listener> {
        // Any free one: on the host's network nobody knows which.
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let mut listener = Listener::new(address, 128, &self.timeline)?;
        listener.joins(&self.company);
        self.tell(name, &listener.address()?.port().to_string());
        Ok(listener)
    }

    /// Tells the program, by this variable, a port at which nobody listens, as long as the
    /// result lives. It is bound and never listens: a listener that is closed may be held open
    /// a moment longer, by a process that another check is starting.
    pub fn nobody_beside(&mut self, name: &str) -> Outcome<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket();
        self.tell(name, &address.map_or(0, |address| address.port()).to_string());
        Ok(socket)
    }

    /// The same as [`Arena::listen`] at another address, with another backlog.
    pub fn listen_at(&mut self, host: IpAddr, backlog: i32) -> Outcome<Listener> {
        Listener::new(SocketAddr::new(host, self.port), backlog, &self.timeline)
    }

    /// Takes the program's port for datagrams and then starts it, to play the server.
    pub fn start_udp_client(&mut self) -> Outcome<(Arc<Subject>, Datagrams)> {
        let socket = Datagrams::open(self.host, self.port)?;
        let program = self.start()?;
        let server = Datagrams::new(socket, "server", &program, &self.timeline);
        Ok((program, server))
    }

    /// Whether IPv6 works on this network.
    pub fn has_ipv6(&self) -> bool {
        std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    /// The condition of the program that was started last, for a report.
    pub fn condition(&self) -> Option<String> {
        self.programs.last().map(|program| program.condition())
    }

    /// The limit that a program hit, if one did.
    pub fn limit(&self) -> Option<String> {
        self.programs.iter().find_map(|program| program.stopped())
    }

    /// The message of the program that was started last, if it printed one.
    pub fn last_words(&self) -> Option<String> {
        self.programs.last().and_then(|program| program.last_words())
    }

    /// Ends all programs.
    pub fn clear(&mut self) {
        for program in self.programs.drain(..) {
            program.stop();
        }
    }
}

/// Whether a program's message says that the address is in use.
fn speaks_of_use(words: &str) -> bool {
    let words = words.to_lowercase();
    ["in use", "eaddrinuse", "addrinuse"].iter().any(|part| words.contains(part))
}

/// What is particular about a client of ours.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    /// It gets a small receive buffer.
    narrow: bool,
    /// It does not wait long for its connection.
    hasty: bool,
}

fn open(address: SocketAddr, own: Own) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if own.narrow {
        // Before connect(2): the window is offered with the first segment.
        socket.set_recv_buffer_size(16 * 1024)?;
    }
    let within = Duration::from_millis(if own.hasty { 500 } else { 5000 });
    socket.connect_timeout(&address.into(), within)?;
    Ok(socket.into())
}
