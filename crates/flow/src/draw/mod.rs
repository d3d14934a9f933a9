//! Draws an event log: as text ([`text()`]) and as a picture ([`svg()`]).
//!
//! # How to read a drawing
//! Each side has a lifeline, and time goes down. The calls of a side are to the right of
//! its lifeline, and packets run between the lifelines. A lifeline is dotted while its
//! program waits in a call; the result is then shown where the call returned. TCP states
//! (RFC 9293 §3.3.2) are in brackets, next to the side that they belong to, where they
//! change. Numbers such as `:14` are lines of the file named at the head of the column.
//!
//! # The order of what is drawn
//! Everything is in the order in which it was observed, and that order respects cause and
//! effect. The tracer notes a call *before* the kernel gets it, so a call is above the
//! packets that it sends. It notes a return *after* all packets that had arrived by then,
//! so a packet is above the return that it causes. Two rules make the picture quieter
//! without changing the order of any cause and its effect:
//!
//! - A call that did not sleep is one line. If it gives something to the kernel (`send`,
//!   `close`, `bind`), the line is at its entry; if it takes something (`recv`, `accept`,
//!   `getsockopt`), at its return.
//! - `connect`, and every call that slept, is two lines: one where it was made and one
//!   where it returned.
//!
//! # Why the same drawing comes out each time
//! The order of what two programs do at the same moment is chance. A log recorded *in
//! turn* (its header says so) leaves none of that to chance, and sorts nothing
//! afterwards:
//!
//! - Of all the programs, one thread runs at a time, until one of its socket calls returns
//!   or it sleeps.
//! - The turn passes when every other thread is stopped or asleep: then everything that a
//!   call set off, also at the peer, has happened before the next call is made.
//! - Only then is the return that ended the turn written down. The next thread goes on, in
//!   order of side and age.
//!
//! Such a run is a real one, and its order of cause and effect is the kernel's. Where no
//! effect leads from one lifeline to the other, a different order could have happened as
//! well, such as which of two ends closes first.
//!
//! One thing is left to the clock. The kernel holds back some acknowledgments to send
//! them along with data (RFC 9293 §3.8.6.3), and retransmits what is not acknowledged. On
//! a busy machine, such a timer may go off in the middle of a run. The drawing then has
//! an extra packet, which says so: `ACK delayed`, `SYN again`, or `ACK probe` where it
//! asks a peer that has no room or has not been heard from for long.
//!
//! `window 0` marks a segment whose sender has no room for even one more byte (RFC 9293
//! §3.8.6): its program does not receive, and the peer has to wait.
//!
//! What goes over AF_UNIX sockets and FIFOs is not a packet: there, an arrow is what a call sends
//! to the program that has the other end. If several programs read from a FIFO, it goes to the one
//! whose `read` returned those bytes; what nobody has read has no arrow.
//!
//! If there are several connections, each packet of the second one is marked `#2`, and so
//! on; the first packet of each also has both ports.
//!
//! # Causes
//! A row that begins with `↳` says why the one above it is as it is, if the log knows:
//! how many bytes had not been received when a reset was sent, how much of a datagram did
//! not fit, which queue was full, where the nearest listener is. It is derived from what
//! the kernel held at that moment, from the options that the program had set, and from
//! the packets; it is never guessed. Notes below the drawing say what was never closed,
//! what was half-open, and where these causes are explained ([`Topic`]).
//!
//! # What is left out
//! Calls have the names that a C program uses: `recv` for `recvfrom(2)` without an
//! address, `accept` for `accept4(2)`. Left out, unless [`Options::exact`] asks for
//! everything, are the flags `SOCK_CLOEXEC` and `MSG_NOSIGNAL`, the protocol if it is the
//! default for the type, the length of what is sent whole, and what the C library asks of
//! `nscd` and of the resolver's netlink socket before the program's own calls. Long logs
//! are cut in the middle, and the drawing says so.

mod calls;
mod canvas;
mod causes;
pub(crate) mod connections;
mod detail;
mod diagram;
mod fifos;
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

/// How to draw a log.
#[derive(Debug, Clone)]
pub struct Options {
    /// The width of the text in columns, at least 40.
    pub width: usize,
    /// Whether the text is coloured with ANSI sequences.
    pub color: bool,
    /// Whether calls are shown as the kernel got them, with nothing left out.
    pub exact: bool,
    /// The most rows that are drawn; longer logs are cut in the middle.
    pub rows: usize,
    /// The first and the last row to draw, counted from 1; `None` draws all.
    pub window: Option<(usize, usize)>,
    /// Whether to say that this is a recording, and where it was made.
    pub recording: bool,
    /// Whether the text shows how long calls waited, and the time of each row in
    /// milliseconds since the beginning and since the row before.
    pub time: bool,
    /// Which rows to draw.
    pub filter: Filter,
    /// Whether rows that repeat are drawn once, with their number.
    pub fold: bool,
    /// Whether the numbers of each segment are shown below its arrow: relative sequence
    /// and acknowledgment numbers, the window in bytes, SACK blocks.
    pub detail: bool,
}

/// Which rows of a drawing to keep; a row must meet every given condition. This does not
/// change what the rows say: states and causes are followed through all events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Calls on sockets that have one of these ports, and their packets.
    pub ports: Vec<u16>,
    /// Calls on sockets of the connections with these numbers, and their packets; 1 is
    /// the first.
    pub connections: Vec<usize>,
    /// Calls with these names, as in a C program or as in the kernel.
    pub calls: Vec<String>,
    /// Calls that failed, resets and ICMP errors.
    pub errors: bool,
    /// What is done by programs with these names, or by processes with these ids, and the
    /// packets of these programs.
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
