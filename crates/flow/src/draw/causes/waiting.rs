//! Why a call that waits tells nothing although bytes are there (epoll(7), socket(7)).

use std::collections::HashMap;

use super::{Cause, Causes, Topic, unread};
use crate::bytes::{grouped, printable};
use crate::draw::calls::shown_name;
use crate::event::{Call, Return};

/// What each process waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The sockets that descriptors refer to, by process.
    sockets: HashMap<(i32, i32), u64>,
    /// What each epoll instance was asked to tell: by process and descriptor, the descriptors
    /// of sockets and the events.
    epolls: HashMap<(i32, i32), HashMap<i32, String>>,
    /// Calls that have not returned, and what was there when they began.
    begun: HashMap<u64, Passed>,
    /// The thread that was the last to receive from each socket. What nobody has touched may
    /// be on its way to be received, by whoever was told of it.
    received: HashMap<u64, i32>,
    /// The last that was said about each socket: a loop is reported only once.
    said: HashMap<u64, String>,
}

/// Bytes that a call does not tell of.
#[derive(Debug)]
struct Passed {
    pid: i32,
    side: usize,
    name: String,
    inode: u64,
    bytes: u32,
    text: String,
}

/// The most calls that are remembered: a log may claim any number.
const BEGUN: usize = 256;

impl Waiting {
    /// Follows which socket a descriptor is, and what an epoll instance is asked to tell.
    pub(super) fn returned(&mut self, call: &Call, returned: &Return) {
        let number = |name: &str| -> Option<i32> {
            call.args.iter().find(|it| it.name == name)?.value.parse().ok()
        };
        let value = returned.value.and_then(|it| i32::try_from(it).ok());
        if let (Some(made), Some(fd)) = (returned.socket, value) {
            self.sockets.insert((call.pid, fd), made);
        }
        if let (Some(inode), Some(fd)) = (call.socket, number("sockfd")) {
            self.sockets.insert((call.pid, fd), inode);
        }
        if returned.error.is_some() {
            return;
        }
        if let (Some(inode), Some(_)) = (call.socket, &returned.data) {
            self.received.insert(inode, call.tid);
        }
        match call.name.as_str() {
            "close" => {
                let Some(fd) = number("fd") else { return };
                if let Some(inode) = call.socket {
                    self.begun.retain(|_, it| it.inode != inode);
                }
                self.sockets.remove(&(call.pid, fd));
                self.epolls.remove(&(call.pid, fd));
            }
            // What these close is not followed.
            "dup2" | "dup3" | "close_range" => {
                self.sockets.retain(|(pid, _), _| *pid != call.pid);
                self.epolls.retain(|(pid, _), _| *pid != call.pid);
            }
            "epoll_ctl" => {
                let (Some(epoll), Some(fd)) = (number("epfd"), number("fd")) else {
                    return;
                };
                let asked = self.epolls.entry((call.pid, epoll)).or_default();
                match call.args.iter().find(|it| it.name == "events") {
                    Some(events) => asked.insert(fd, events.value.clone()),
                    None => asked.remove(&fd),
                };
            }
            _ => {}
        }
    }

    /// A process ends of its own accord, and does not mind what waits.
    pub(super) fn exited(&mut self, pid: i32) {
        self.begun.retain(|_, it| it.pid != pid);
    }

    /// The descriptors from which a call waits to receive, and how it asks.
    fn asked(&self, call: &Call) -> Vec<(i32, &str)> {
        let arg = |name: &str| {
            call.args.iter().find(|it| it.name == name).map(|it| it.value.as_str())
        };
        if let Some(fds) = arg("fds") {
            let fds = fds.trim_matches(['[', ']']).split(", ");
            let parse =
                |it: &'_ str| -> Option<i32> { it.split(' ').next()?.parse().ok() };
            let to_receive = fds.filter(|it| it.contains("POLLIN"));
            return to_receive.filter_map(|it| Some((parse(it)?, ""))).collect();
        }
        let epoll = arg("epfd").and_then(|it| it.parse().ok());
        let asked = epoll.and_then(|epoll: i32| self.epolls.get(&(call.pid, epoll)));
        let mut asked: Vec<(i32, &str)> = asked
            .into_iter()
            .flatten()
            .filter(|(_, events)| events.contains("EPOLLIN"))
            .map(|(fd, events)| (*fd, events.as_str()))
            .collect();
        asked.sort_unstable();
        asked
    }
}

impl Causes {
    /// A call begins to wait: remembers the bytes that are there and that it will not tell of.
    pub(super) fn waits(&mut self, call: &Call) {
        let is_one = matches!(
            call.name.as_str(),
            "poll" | "ppoll" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2"
        );
        if !is_one || self.waiting.begun.len() >= BEGUN {
            return;
        }
        let passed = self.waiting.asked(call).into_iter().find_map(|(fd, events)| {
            let inode = *self.waiting.sockets.get(&(call.pid, fd))?;
            if self.waiting.received.get(&inode).is_some_and(|tid| *tid != call.tid) {
                return None;
            }
            let is_left_over = self.waiting.received.contains_key(&inode);
            let low_water = self.sockets.get(&inode).and_then(|it| it.low_water);
            let bytes = unread(self.held(inode)?);
            let why = if bytes == 0 {
                return None;
            } else if low_water.is_some_and(|most| bytes < most) {
                format!("SO_RCVLOWAT asks for {}", grouped(low_water?.into()))
            } else if !is_left_over {
                return None;
            } else if events.contains("EPOLLONESHOT") {
                "EPOLLONESHOT tells once, until EPOLL_CTL_MOD".to_owned()
            } else if events.contains("EPOLLET") {
                "EPOLLET tells only of what comes".to_owned()
            } else {
                return None;
            };
            let are = if bytes == 1 { "byte is" } else { "bytes are" };
            let text = format!("{} {are} there at {fd}: {why}", grouped(bytes.into()));
            let (side, name) = (call.side, shown_name(call, false).to_owned());
            Some(Passed { pid: call.pid, side, name, inode, bytes, text })
        });
        if let Some(passed) = passed {
            self.waiting.begun.insert(call.id, passed);
        }
    }

    /// A call has waited: why it told nothing, if the same bytes are still there.
    pub(super) fn told_nothing(
        &mut self,
        call: &Call,
        returned: &Return,
    ) -> Option<Cause> {
        if returned.value.is_none() && returned.error.is_none() {
            return None; // It never did return.
        }
        let passed = self.waiting.begun.remove(&call.id)?;
        let is_nothing =
            returned.value == Some(0) || returned.error.as_deref() == Some("EINTR");
        let still = self.held(passed.inode).map_or(0, unread) == passed.bytes;
        if !is_nothing || !still {
            return None;
        }
        let before = self.waiting.said.insert(passed.inode, passed.text.clone());
        (before.as_ref() != Some(&passed.text))
            .then(|| Cause::caller(Topic::Untold, passed.text))
    }

    /// The notes about calls that waited to the end.
    pub(super) fn never_told(
        &self,
        name: &impl Fn(usize) -> String,
    ) -> Vec<(Topic, String)> {
        let mut left: Vec<(&u64, &Passed)> = self.waiting.begun.iter().collect();
        left.sort_unstable_by_key(|(id, _)| **id);
        let note = |(_, it): (&u64, &Passed)| {
            let (side, call) = (name(it.side), printable(&it.name));
            (Topic::Untold, format!("{side} was in {call} to the end: {}", it.text))
        };
        left.into_iter().map(note).collect()
    }
}
