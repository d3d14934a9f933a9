//! Draws an event log: as text ([`text()`]) and as a picture ([`svg()`]).
//!
//! # How to read a drawing
//! Each side has a line of life, time goes down. To the right of a line stand the calls of
//! that side, between the lines run the packets. A line is dotted while its program waits
//! in a call; the call's result then stands where the call came back. In brackets stand
//! the TCP states (RFC 9293 §3.3.2), at the side whose state it is, where they change.
//! Numbers as `:14` are lines of the file that the column's head names.
//!
//! # The order of what is drawn
//! Everything stands in the order in which it was observed, and that order is one of cause
//! and effect: the tracer notes a call *before* the kernel gets it, so that a call stands
//! above the packets it sends; and notes its return *after* all packets that had arrived
//! by then, so that a packet stands above the call it lets return. Two rules make the
//! picture quieter without changing any order between cause and effect:
//!
//! - A call that did not sleep is one line. If it gives something to the kernel (`send`,
//!   `close`, `bind`) the line stands at its entry; if it takes something (`recv`,
//!   `accept`, `getsockopt`), at its return.
//! - `connect`, and every call that slept, is two lines: one where it was made and one
//!   where it came back.
//!
//! # Why the same drawing comes out each time
//! What two programs do at the same moment is ordered by chance. A log recorded *in turn*
//! (its header says so) leaves nothing of that to chance, and sorts nothing afterwards:
//!
//! - One thread of all the programs runs at a time, until one of its socket calls returns
//!   or it sleeps.
//! - The turn passes when every other thread is stopped or asleep: so all that a call set
//!   off, at the peer as well, has happened before the next call is made.
//! - Then the return that ended the turn is written down, and the next thread goes on, in
//!   order of side and of age.
//!
//! That run is a real one, and its order of cause and effect is the kernel's. Where nothing
//! leads from one line of life to the other, another order could have happened as well:
//! which of two ends closes first, for example.
//!
//! One thing is left to the clock. The kernel keeps some acknowledgments back, to send them
//! along with data (RFC 9293 §3.8.6.3), and sends what is not acknowledged again. On a busy
//! machine such a timer may go off in the middle of a run. Then a packet more is drawn,
//! which says so: `ACK delayed`, `SYN again`, and `ACK probe` where it asks a peer that has no
//! room, or has long said nothing.
//!
//! `window 0` stands at a segment whose sender has no room for a byte more (RFC 9293 §3.8.6):
//! its program does not receive, and the peer has to wait.
//!
//! What goes over sockets of AF_UNIX is no packet: there an arrow is what a call sends to the
//! program that has the other end.
//!
//! Where there are several connections, `#2` stands at each packet of the second one that
//! began, and at its first packet both ports.
//!
//! # Causes
//! A row that begins with `↳` says why the one above it is as it is, where the log knows: how
//! many bytes were not received when a reset was sent, how much of a datagram did not fit, which
//! queue was full, where the nearest listener is. It is taken from what the kernel held at that
//! moment, from the options that the program had set and from the packets, and never guessed.
//! Below the drawing stands what was never closed, what was half-open, and where these causes
//! are explained ([`Topic`]).
//!
//! # What is left out
//! Calls are named as in a C program: `recv` for `recvfrom(2)` without an address,
//! `accept` for `accept4(2)`. Left out, unless [`Options::exact`] asks for everything: the
//! flags `SOCK_CLOEXEC` and `MSG_NOSIGNAL`, the protocol where it is the type's own, the
//! length of what is sent whole, and what the C library asks of `nscd` and the resolver's
//! netlink socket before the program's own calls. Long logs are cut in the middle; the
//! drawing says so.

mod calls;
mod canvas;
mod causes;
pub(crate) mod connections;
mod detail;
mod diagram;
mod filter;
mod fold;
pub mod html;
mod live;
mod local;
mod owners;
mod states;
pub mod summary;
mod svg;
mod text;
mod topics;

pub use diagram::{Arrow, Column, Diagram, PacketKind, Row};
pub use live::Live;
pub use states::State;
pub use svg::svg;
pub use text::text;
pub use topics::Topic;

/// How a log is drawn.
#[derive(Debug, Clone)]
pub struct Options {
    /// Columns of the text, 40 at least.
    pub width: usize,
    /// Whether the text is coloured with ANSI sequences.
    pub color: bool,
    /// Whether calls stand as the kernel got them, with nothing left out.
    pub exact: bool,
    /// Rows drawn at most; longer logs are cut in the middle.
    pub rows: usize,
    /// The first and the last row that are drawn, counted from 1; none: all.
    pub window: Option<(usize, usize)>,
    /// Says that the log was recorded before, and where.
    pub recording: bool,
    /// Whether the text has the time of each row, in milliseconds since the beginning and
    /// since the row before, and how long calls waited.
    pub time: bool,
    /// Which rows are drawn.
    pub filter: Filter,
    /// Whether rows that repeat are drawn once, with their number.
    pub fold: bool,
    /// Whether the numbers of each segment stand below its arrow: relative sequence and
    /// acknowledgment numbers, the window in bytes, SACK blocks.
    pub detail: bool,
}

/// Which rows of a drawing are wanted; each condition that is given must be met. What the rows
/// say does not change: states and causes are followed through all events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Calls on sockets that have one of these ports, and their packets.
    pub ports: Vec<u16>,
    /// Calls on sockets of the connections of these numbers, and their packets: 1 is the first.
    pub connections: Vec<usize>,
    /// Calls of these names, a C program's or the kernel's.
    pub calls: Vec<String>,
    /// Calls that failed, resets and ICMP errors.
    pub errors: bool,
    /// What programs of these names, or processes of these ids, do, and the packets of these
    /// programs.
    pub processes: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            width: 80,
            color: false,
            exact: false,
            rows: 2000,
            window: None,
            recording: false,
            time: false,
            filter: Filter::default(),
            fold: false,
            detail: false,
        }
    }
}
