//! Where a check is played: a network of its own, the program under test, and the peers
//! that the check asks for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use netlab::sockets::Transport;
use socket2::{Domain, Socket, Type};

use crate::outcome::{Outcome, fails};
use crate::patience::{GaveUp, Patience};
use crate::peer::{Connection, Datagrams, Listener};
use crate::subject::{Allowance, Recipe, Subject};
use crate::timeline::Timeline;

/// The port that a program uses which is told no other.
pub const DOCUMENTED_PORT: u16 = 12345;

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
}

impl<'a> Arena<'a> {
    /// A arena on the calling thread's network.
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
        }
    }

    /// The port that the program is told.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Tells the program something more: the variable `name`, and `{name}` in its command.
    pub fn tell(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts the program and does not wait for anything.
    pub fn start(&mut self) -> Outcome<Arc<Subject>> {
        let program =
            Subject::start(self.recipe, self.limits, &self.variables, &self.timeline)?;
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
        let port = self.port;
        let program = self.start()?;
        let mut patience = Patience::new(&program);
        loop {
            let waits = program.waits_at(transport);
            // On the host's network a program may keep to the documented port.
            let found = waits.iter().find(|it| it.port() == port);
            let found = found.or(waits.iter().find(|it| it.port() == DOCUMENTED_PORT));
            if let Some(address) = found {
                let host = match address.ip() {
                    IpAddr::V4(host) if host.is_unspecified() => {
                        Ipv4Addr::LOCALHOST.into()
                    }
                    // By default it takes IPv4 as well.
                    IpAddr::V6(host) if host.is_unspecified() => {
                        Ipv4Addr::LOCALHOST.into()
                    }
                    host => host,
                };
                program.found_at(SocketAddr::new(host, address.port()));
                self.timeline.does("program", format!("{what}: {address}"));
                return Ok(program);
            }
            if let Some(why) = patience.tick() {
                let expected = format!("the program {what} at 127.0.0.1:{port}");
                let got = match (waits.first(), why) {
                    (Some(other), _) => format!("it waits at {other}"),
                    (None, GaveUp::Late) => {
                        format!("no sign of it for long; {}", program.condition())
                    }
                    (None, _) => program.condition(),
                };
                return fails(expected, got);
            }
            patience.nap();
        }
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

    fn connect_as(&mut self, program: &Arc<Subject>, own: Own) -> Outcome<Connection> {
        match self.try_connect(program, own)? {
            Ok(connection) => Ok(connection),
            Err(error) => fails(
                format!("a connection to {}", program.address()?),
                format!("connect: {error}; {}", program.condition()),
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
                Ok(Ok(Connection::new(stream, &name, program, &self.timeline)?))
            }
            Err(error) => {
                self.timeline.does(&name, format!("cannot: {error}"));
                Ok(Err(error))
            }
        }
    }

    /// A socket that sends datagrams to the server under test.
    pub fn datagrams(&mut self, program: &Arc<Subject>) -> Outcome<Datagrams> {
        self.clients += 1;
        let name = format!("client {}", self.clients);
        Ok(Datagrams::new(Datagrams::open(0)?, &name, program, &self.timeline))
    }

    /// Listens at the program's port, to play the server for it.
    pub fn listen(&mut self) -> Outcome<Listener> {
        self.listen_at(Ipv4Addr::LOCALHOST.into(), 128)
    }

    /// The same at another address, with another backlog.
    pub fn listen_at(&mut self, host: IpAddr, backlog: i32) -> Outcome<Listener> {
        Listener::new(SocketAddr::new(host, self.port), backlog, &self.timeline)
    }

    /// Takes the program's port for datagrams and then starts it, to play the server.
    pub fn start_udp_client(&mut self) -> Outcome<(Arc<Subject>, Datagrams)> {
        let socket = Datagrams::open(self.port)?;
        let program = self.start()?;
        let server = Datagrams::new(socket, "server", &program, &self.timeline);
        Ok((program, server))
    }

    /// Whether IPv6 works on this network.
    pub fn has_ipv6(&self) -> bool {
        std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
    }

    /// The first program's condition, for a report.
    pub fn condition(&self) -> Option<String> {
        self.programs.last().map(|program| program.condition())
    }

    /// Ends all programs.
    pub fn clear(&mut self) {
        for program in self.programs.drain(..) {
            program.stop();
        }
    }
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
