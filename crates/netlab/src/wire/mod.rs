//! The wire: two private hosts, and a link between them that does what its rules say.
//!
//! Host a is `10.77.0.1` and `fd77::1`, host b is `10.77.0.2` and `fd77::2`; each has a
//! second address, `10.77.0.11` and `10.77.0.12`. Each is a network namespace of its own,
//! with the real kernel's TCP and UDP and a network card, `wire0`, whose other end this
//! process holds: a TUN device, or a veth pair where `/dev/net/tun` cannot be opened. One
//! thread forwards. The rules ([`Rules`]) say which packets are lost, doubled, swapped,
//! damaged or held back on the way.
//!
//! None of it outlives this process and the programs on the two hosts: namespaces and
//! cards go away with the last descriptor.

pub mod rules;
pub use rules::{Host, RuleError, Rules};

#[cfg(target_os = "linux")]
mod counters;
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "cards are made and asked by ioctl(2) and packet(7)")]
mod device;
#[cfg(target_os = "linux")]
mod headers;
#[cfg(target_os = "linux")]
mod hosts;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "rtnetlink(7) has no safe form in std")]
mod netlink;
#[cfg(target_os = "linux")]
mod script;

#[cfg(not(target_os = "linux"))]
pub use crate::elsewhere::Wire;
#[cfg(target_os = "linux")]
pub use hosts::Wire;
#[cfg(target_os = "linux")]
pub use link::{Counts, Place, Sighting};

use std::fmt;

use crate::Refusal;

/// How to make a wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The bytes kept of each packet that is seen; with `None`, no sightings are kept at
    /// all.
    pub packet_bytes: Option<usize>,
    /// The network card that the hosts get.
    pub card: Card,
}

/// A network card of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Card {
    /// A TUN device, or a veth pair where there is none.
    #[default]
    Any,
    /// A TUN device.
    Tun,
    /// A veth pair. It has one queue per processor, so packets that a host sends from
    /// several processors at the same time may overtake each other.
    Veth,
}

/// Why there is no wire.
#[derive(Debug)]
pub enum WireError {
    /// The system does not allow it.
    Refused(Refusal),
    /// A rule sets what cannot be set: the rule, and the reason.
    Setting(String, std::io::Error),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Refused(refusal) => refusal.fmt(f),
            WireError::Setting(rule, reason) => {
                let advice = match reason.kind() {
                    std::io::ErrorKind::InvalidInput => "does it accept this value?",
                    _ => "is it a name below /proc/sys/net/ipv4?",
                };
                write!(f, "rule `{rule}`: {reason}; {advice}")
            }
        }
    }
}

impl std::error::Error for WireError {}

impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> WireError {
        WireError::Refused(refusal)
    }
}
