//! Which network a run uses.

use std::net::{Ipv6Addr, UdpSocket};

use crate::{PrivateNetwork, enter_user_namespace};

/// Where a run's traffic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A network namespace of its own: all ports free, nobody else's traffic.
    Private,
    /// The host's loopback: one run at a time.
    Host,
}

impl Network {
    /// Chooses a private network for each run of this process, unless `host` says
    /// otherwise or the system refuses; then `say` is given the reason.
    ///
    /// Call it while the process has one thread; see [`enter_user_namespace`].
    pub fn choose(host: bool, say: impl FnOnce(&str)) -> Network {
        if host {
            return Network::Host;
        }
        match enter_user_namespace() {
            Ok(()) => Network::Private,
            Err(refusal) => {
                say(&format!("no private network, so the host's is used: {refusal}"));
                Network::Host
            }
        }
    }

    /// Whether the loopback interface of this network has `::1`. A kernel may lack IPv6,
    /// and a container's network often does.
    pub fn has_ipv6(self) -> bool {
        let has_it = || UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        match self {
            Network::Host => has_it(),
            // A network belongs to a thread, so this one goes away with the thread.
            Network::Private => std::thread::Builder::new()
                .spawn(move || PrivateNetwork::enter().is_ok_and(|_network| has_it()))
                .is_ok_and(|look| look.join().unwrap_or(false)),
        }
    }
}
