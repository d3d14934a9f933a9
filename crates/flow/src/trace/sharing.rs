//! Datagram sockets that share a port with others, and when they are closed.
//!
//! Once such a socket is closed, what comes to its port or its multicast group is for the
//! others alone. No call says that: its descriptor may have copies in this process or in
//! another, or on their way to one. So whenever a call may have closed the last of them, the
//! kernel is asked for the sockets that there still are.

use std::collections::{HashMap, HashSet};

use crate::event::Arg;

/// How often the kernel is asked after a thread's call that closes: it may close what the call
/// names only when the thread goes on, and the thread's next stop may be far away.
const LOOKS: u32 = 100;

/// The sockets that are followed.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// Those that have set an option which lets them share.
    shares: HashSet<u64>,
    /// Those that are bound: the kernel lists no others.
    bound: HashSet<u64>,
    /// The threads that may have closed some, and how many times to look for that.
    closing: HashMap<i32, u32>,
}

impl Sharing {
    /// A datagram socket sets an option.
    pub(super) fn option(&mut self, inode: u64, args: &[Arg]) {
        let name = args.iter().find(|it| it.name == "optname");
        let name = name.map_or("", |it| it.value.as_str());
        if ["SO_REUSE", "MCAST_JOIN"].iter().any(|it| name.starts_with(it))
            || name.ends_with("MEMBERSHIP")
        {
            self.shares.insert(inode);
        }
    }

    /// A datagram socket was bound to an address.
    pub(super) fn bind(&mut self, inode: u64) {
        self.bound.insert(inode);
    }

    /// A thread returns from a call that closes a descriptor, or runs another program.
    pub(super) fn may_close(&mut self, tid: i32) {
        self.closing.insert(tid, LOOKS);
    }

    /// A thread has ended; what it closed is closed.
    pub(super) fn ended(&mut self, tid: i32) {
        self.closing.insert(tid, 1);
    }

    /// A thread makes another call: what it closed before is closed.
    pub(super) fn goes_on(&mut self, tid: i32) {
        if let Some(looks) = self.closing.get_mut(&tid) {
            *looks = 1;
        }
    }

    /// The sockets that have been closed since the last time. `list` asks for those that there
    /// are, and is called only if one may be missing.
    pub(super) fn gone(
        &mut self,
        list: impl FnOnce() -> Option<HashSet<u64>>,
    ) -> Vec<u64> {
        if self.closing.is_empty() {
            return Vec::new();
        }
        self.closing.retain(|_, looks| {
            *looks -= 1;
            *looks > 0
        });
        let followed = || self.shares.intersection(&self.bound).copied();
        let Some(there) = followed().next().and_then(|_| list()) else {
            return Vec::new();
        };
        let mut gone: Vec<u64> = followed().filter(|it| !there.contains(it)).collect();
        gone.sort_unstable();
        self.bound.retain(|it| there.contains(it));
        self.shares.retain(|it| !gone.contains(it));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u64; 0] = [];

    fn named(name: &str) -> Vec<Arg> {
        vec![Arg { name: "optname".to_owned(), value: name.to_owned() }]
    }

    #[test]
    fn a_socket_is_gone_when_the_kernel_lists_it_no_more() {
        let mut sharing = Sharing::default();
        sharing.option(1, &named("IP_ADD_MEMBERSHIP"));
        sharing.option(2, &named("SO_REUSEPORT"));
        sharing.option(3, &named("SO_RCVBUF"));
        // What is not bound is not in the list, and not closed either.
        sharing.option(4, &named("SO_REUSEADDR"));
        [1, 2, 3].into_iter().for_each(|it| sharing.bind(it));
        assert_eq!(sharing.gone(|| panic!("nothing was closed")), NONE);

        sharing.may_close(7);
        assert_eq!(sharing.gone(|| Some([1, 2].into())), NONE, "a copy is still open");
        assert_eq!(
            sharing.gone(|| Some([1].into())),
            [2],
            "closed as the thread goes on"
        );
        sharing.goes_on(7);
        assert_eq!(sharing.gone(|| Some([1].into())), NONE);
        assert_eq!(sharing.gone(|| panic!("nothing was closed")), NONE);

        sharing.ended(7);
        assert_eq!(sharing.gone(|| Some(HashSet::new())), [1]);
        assert_eq!(sharing.gone(|| panic!("nobody is left")), NONE);
    }

    #[test]
    fn a_kernel_that_does_not_answer_has_closed_nothing() {
        let mut sharing = Sharing::default();
        sharing.option(1, &named("MCAST_JOIN_GROUP"));
        sharing.bind(1);
        sharing.may_close(7);
        assert_eq!(sharing.gone(|| None), NONE);
        assert_eq!(sharing.gone(|| Some(HashSet::new())), [1]);
    }
}
