//! The event log, from which every drawing is made.
//!
//! A log is what was observed, in the order in which it was observed: programs start and
//! end, make calls and return from them, packets arrive. It says nothing about how it is
//! drawn. Times are nanoseconds since the log began; a call and its return have the same
//! `id`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of the log format that this library writes, and the newest that it reads.
pub const VERSION: u32 = 2;

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// The first line of the log.
    pub header: Header,
    /// What happened, in the order observed.
    pub events: Vec<Event>,
}

/// The first line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the log format: [`VERSION`].
    pub flow: u32,
    /// The system on which the run was recorded: `Linux 6.18 x86_64`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// Whether the programs ran in turn; see [`crate::draw`].
    #[serde(default)]
    pub in_turn: bool,
    /// When the log began, in nanoseconds since the Unix epoch; 0 if not known.
    #[serde(default)]
    pub began_ns: u64,
    /// What was measured beside the events, as far as the system allowed: `kernel`,
    /// `printed`, `source_hash`. Anything not named here was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<String>,
}

impl Default for Header {
    fn default() -> Self {
        Header {
            flow: VERSION,
            system: String::new(),
            in_turn: false,
            began_ns: 0,
            measured: Vec::new(),
        }
    }
}

/// One line of a log after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A side of the conversation begins.
    Side(Side),
    /// A process starts, forks, gets a signal or ends.
    Process(Process),
    /// A socket is seen for the first time, or has a new address.
    Socket(Socket),
    /// A call enters the kernel.
    Call(Call),
    /// A call returns from the kernel.
    Return(Return),
    /// A packet arrives at the loopback interface.
    Packet(Packet),
    /// Something that the reader of the drawing should know.
    Note(Note),
}

impl Event {
    /// When it was observed, in nanoseconds since the log began.
    pub fn time_ns(&self) -> u64 {
        match self {
            Event::Side(e) => e.time_ns,
            Event::Process(e) => e.time_ns,
            Event::Socket(e) => e.time_ns,
            Event::Call(e) => e.time_ns,
            Event::Return(e) => e.time_ns,
            Event::Packet(e) => e.time_ns,
            Event::Note(e) => e.time_ns,
        }
    }
}

/// A program of the conversation, with all the processes that it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// Its number, counted from 0 in order of start.
    pub side: usize,
    /// Its name in the drawing.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The host of a wire that it runs on, `a` or `b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A change in the life of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// The side to which it belongs.
    pub side: usize,
    /// The process.
    pub pid: i32,
    /// What happened to it.
    pub what: Change,
    /// What was measured at this moment.
    #[serde(flatten)]
    pub observed: Observed,
}

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It forked; the id of the new process.
    Forked(i32),
    /// It replaced its program; the path of the new one.
    Executed(String),
    /// A signal is being delivered to it, by its C name.
    Signal(String),
    /// It ended with this exit status.
    Exited(i32),
    /// A signal killed it, by its C name.
    Killed(String),
}

/// A socket, identified by its inode number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// The side that has it open.
    pub side: usize,
    /// The inode number, as in `/proc/PID/fd`.
    pub inode: u64,
    /// The address family: `AF_INET`.
    pub family: String,
    /// The type: `SOCK_STREAM`.
    pub kind: String,
    /// The local address, if it has one: `127.0.0.1:12345`, `[::1]:12345`, a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// The peer's address, if it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A system call, at the moment when it enters the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// Its number; its [`Return`] has the same.
    pub id: u64,
    /// The side that makes the call.
    pub side: usize,
    /// The process that makes the call.
    pub pid: i32,
    /// The thread that makes the call.
    pub tid: i32,
    /// The name of the system call in the kernel: `recvfrom` where a program says `recv`.
    pub name: String,
    /// The arguments known at entry, in order.
    pub args: Vec<Arg>,
    /// The inode of the socket that the first argument refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<u64>,
    /// The bytes that it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The line of the program that made the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// What was measured at this moment.
    #[serde(flatten)]
    pub observed: Observed,
}

/// A system call's return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// The number of the [`Call`].
    pub id: u64,
    /// What it returned; `None` if it failed or never returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// Whether the thread slept in the call, waiting for something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waited: bool,
    /// The name of the error: `ECONNREFUSED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the kernel wrote into the arguments: an address, the value of an option.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
    /// The inode of the socket that it created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<u64>,
    /// The bytes that it received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// What was measured at this moment.
    #[serde(flatten)]
    pub observed: Observed,
}

/// What was measured at an event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// What the kernel held at this moment; `None` if that has not changed since the last
    /// event with a measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Vec<Held>>,
    /// What programs have printed since the event before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub printed: Vec<Printed>,
    /// The [`hash`] of the source file that the call names, the first time that the log
    /// names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hash: Option<String>,
    /// The datagram sockets that shared a port, or were members of a multicast group, and
    /// that have been closed since the event before: no descriptor refers to them any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<u64>,
}

/// One end of a conversation as the kernel holds it: a line of `ss -an`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its local address.
    pub local: String,
    /// Its peer's address, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The name of the TCP state in RFC 9293 §3.3.2; `None` for UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// For a connection, the bytes that have arrived and that the program has not
    /// received; for a listener, the connections waiting to be accepted; for a datagram
    /// socket, the memory in use.
    pub recv_q: u32,
    /// For a connection, the bytes that were sent and that the peer has not acknowledged;
    /// for a listener, how many connections may wait.
    pub send_q: u32,
    /// The inode number of the socket; `None` if no program has it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<u64>,
}

/// What a program printed: bytes that it passed to `write(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// The side that printed.
    pub side: usize,
    /// 1 for standard output, 2 for standard error.
    pub fd: i32,
    /// The bytes.
    pub data: Data,
}

/// The hash of a source file, which tells whether it is the one that ran: 64-bit FNV-1a,
/// in hexadecimal. It guards against mistakes, not against adversaries.
pub fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    };
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// An argument under its name in the manual page, with its value in C form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arg {
    /// For example `sockfd` or `backlog`.
    pub name: String,
    /// For example `3` or `SOCK_STREAM|SOCK_CLOEXEC`.
    pub value: String,
}

/// Bytes that were sent or received: at least the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// The first bytes.
    #[serde(with = "crate::bytes::escaped")]
    pub bytes: Vec<u8>,
    /// How many there were in total.
    pub length: u64,
}

/// A line of a program's source code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// The path as given in the debug information.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// A packet that arrived at the loopback interface; on a wire, one that arrived at a
/// host, or that was lost or held back on its way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// The sender: `127.0.0.1:47794`, or just an address if there are no ports.
    pub from: String,
    /// The receiver.
    pub to: String,
    /// What it carries.
    pub protocol: Protocol,
    /// The payload.
    pub data: Data,
    /// What the wire did to it; `None` on a loopback interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<OnWire>,
}

/// What happened to a packet on a wire between two hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct OnWire {
    /// When it left its sender, in nanoseconds since the log began.
    pub left_ns: u64,
    /// Whether it arrived, was lost, or was held back.
    #[serde(default)]
    pub fate: Fate,
    /// Whether all that it carries had been sent before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Whether it asks if the peer is still there, or has room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probe: bool,
    /// Whether its payload was changed on the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
    /// Whether it arrives a second time, though it was sent once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doubled: bool,
    /// Whether it was held back on the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// For a fragment, where its bytes begin in the datagram, and how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fragment: Option<(usize, usize)>,
    /// The counter of the sender's kernel that went up with it, such as `TCPLossProbes`:
    /// why it was retransmitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The rule that affected it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It arrives.
    #[default]
    Arrived,
    /// It left, and never arrives.
    Lost,
    /// It left, and is held back; another event says when it arrives.
    Held,
}

/// A flag of a TCP segment, in the order in which people say them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names are those of RFC 9293 §3.1 and RFC 3168")]
pub enum Flag {
    Syn,
    Fin,
    Rst,
    Psh,
    Ack,
    Urg,
    Ece,
    Cwr,
}

impl Flag {
    /// Each flag and its name in the RFC.
    const ALL: [(Flag, &str); 8] = [
        (Flag::Syn, "SYN"),
        (Flag::Fin, "FIN"),
        (Flag::Rst, "RST"),
        (Flag::Psh, "PSH"),
        (Flag::Ack, "ACK"),
        (Flag::Urg, "URG"),
        (Flag::Ece, "ECE"),
        (Flag::Cwr, "CWR"),
    ];
}

/// The flags of a TCP segment. In the log they are names separated by blanks, as in `SYN
/// ACK`; a name that this library does not know is skipped.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Flags(u8);

impl Flags {
    /// Whether the flag is set.
    pub fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Whether `ACK` is set and nothing else.
    pub fn is_ack_alone(self) -> bool {
        self == Flags::from_iter([Flag::Ack])
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Flags {
        Flags(flags.into_iter().fold(0, |all, flag| all | 1 << flag as u8))
    }
}

impl From<String> for Flags {
    fn from(text: String) -> Flags {
        let known = |name: &str| Flag::ALL.into_iter().find(|(_, it)| *it == name);
        text.split(' ').filter_map(known).map(|(flag, _)| flag).collect()
    }
}

impl From<Flags> for String {
    fn from(flags: Flags) -> String {
        flags.to_string()
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (_, name) in Flag::ALL.into_iter().filter(|(flag, _)| self.has(*flag)) {
            write!(f, "{between}{name}")?;
            between = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a packet carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// A TCP segment (RFC 9293 §3.1).
    Tcp {
        /// The flags that are set.
        flags: Flags,
        /// The sequence number.
        seq: u32,
        /// The acknowledgment number.
        ack: u32,
        /// The window as it is in the header, not scaled.
        window: u16,
        /// In a SYN, by how many bits the sender's later windows are shifted (RFC 7323
        /// §2).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scale: Option<u8>,
        /// In a SYN, the most bytes that its sender takes in one segment (RFC 9293 §3.7.1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mss: Option<u16>,
        /// What the receiver has beyond a gap: ranges of sequence numbers, without their
        /// ends (RFC 2018).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sack: Vec<(u32, u32)>,
    },
    /// A UDP datagram.
    Udp,
    /// An ICMP or ICMPv6 message: type and code.
    Icmp {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// Anything else: the protocol number.
    Other(u8),
}

/// A remark for the reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// See [`Event::time_ns`].
    pub time_ns: u64,
    /// One sentence without a full stop.
    pub text: String,
}
