//! A private network for each run: a loopback interface of its own, on which every port
//! is free.
//!
//! On Linux, a run gets a network namespace ([`PrivateNetwork`]) inside a user namespace
//! ([`enter_user_namespace`]), so it needs no root. Documented ports are always free,
//! runs can go on side by side, and whatever is seen on the network belongs to that run
//! alone. Elsewhere, and where the kernel refuses, a [`Refusal`] names the step that
//! failed and what would allow it; the run then uses the host's loopback.
//!
//! The instruments also share from here what else they need for a run: [`workers`] runs
//! things side by side, [`environment`] describes the surroundings of a run, and [`files`] reads
//! what a user names.
//!
//! Sources: `user_namespaces(7)`, `network_namespaces(7)`, `netdevice(7)`.

#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
pub use namespace::{PrivateNetwork, enter_network_as_oneself, enter_user_namespace};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{PrivateNetwork, enter_user_namespace};

#[cfg(target_os = "linux")]
pub mod asleep;

#[cfg(target_os = "linux")]
pub mod capture;

#[cfg(target_os = "linux")]
pub mod fence;

mod network;
pub use network::Network;

mod refusal;
pub use refusal::{Refusal, remedy, with_remedy};

#[cfg(target_os = "linux")]
mod queue;
#[cfg(target_os = "linux")]
pub use queue::unacknowledged_bytes;

#[cfg(target_os = "linux")]
mod reset;
#[cfg(target_os = "linux")]
pub use reset::reset;

pub mod environment;
pub mod files;
pub mod process;
pub mod sockets;
pub mod wire;
pub mod workers;
