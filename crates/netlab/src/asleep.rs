//! Whether a family of processes is asleep for ever: every thread waits for something that
//! only another of them could bring, and all of them wait.
//!
//! A thread that sleeps is in a system call. `/proc` names the call and its arguments, and
//! the memory of the process holds what they point to: how long it waits, and for which
//! descriptors. Whatever this module does not know counts as something that may still come,
//! so it may call a dead program alive, and never a living one dead.
//!
//! Sources: `proc_pid_syscall(5)`, `proc_pid_fdinfo(5)`, `proc_pid_status(5)`, `futex(2)`.
#![allow(unsafe_code, reason = "clock_gettime(2) has no safe form in std")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use libc::c_long;

use crate::{process, sockets};

/// Returns whether every thread of the descendants of `pid` waits for something that can
/// come from none of them, or that cannot come within the time `long` after its wait began.
pub fn for_ever(pid: u32, long: Duration) -> bool {
    // The arguments are read as a 64-bit program lays them out.
    if cfg!(target_pointer_width = "32") {
        return false;
    }
    let Some(before) = sleepers(pid) else { return false };
    !before.iter().all(|it| it.has_ended)
        && before.iter().all(|it| it.has_ended || it.waits_for_ever(long).is_some())
        // None of them has run in the meantime, nor started or ended another: they were
        // asleep together.
        && sleepers(pid) == Some(before)
}

/// A thread that is asleep, or one that has ended and is still there: a zombie.
#[derive(Debug, PartialEq, Eq)]
struct Sleeper {
    has_ended: bool,
    process: u32,
    thread: String,
    /// How often it has given up the processor so far: it has not run if this is the same.
    switches: [u64; 2],
    /// The signals for which its process has a handler.
    caught: u64,
}

/// Returns the threads of the descendants of `pid`, or `None` if one of them does not sleep.
fn sleepers(pid: u32) -> Option<Vec<Sleeper>> {
    let mut sleepers = Vec::new();
    for process in process::family(pid).into_iter().skip(1) {
        for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
            let thread = thread.ok()?.file_name().to_str()?.to_owned();
            let status = format!("/proc/{process}/task/{thread}/status");
            let status = process::read_text(status)?;
            let field = |name: &str| {
                let value = status.lines().find_map(|line| line.strip_prefix(name));
                value.map(|it| it.trim_start_matches(':').trim())
            };
            let has_ended = match field("State")?.as_bytes().first()? {
                b'S' => false,
                b'Z' | b'X' => true,
                _ => return None,
            };
            let switches = [
                field("voluntary_ctxt_switches")?.parse().ok()?,
                field("nonvoluntary_ctxt_switches")?.parse().ok()?,
            ];
            let caught = u64::from_str_radix(field("SigCgt")?, 16).ok()?;
            sleepers.push(Sleeper { has_ended, process, thread, switches, caught });
        }
    }
    Some(sleepers)
}

/// A call that nothing outside of the family can end: the proof, for `?`.
struct ForEver;

/// Turns the answer to a question into one that `?` understands.
fn only_if(it: bool) -> Option<ForEver> {
    it.then_some(ForEver)
}

impl Sleeper {
    fn waits_for_ever(&self, long: Duration) -> Option<ForEver> {
        self.has_no_timer()?;
        let text = format!("/proc/{}/task/{}/syscall", self.process, self.thread);
        let text = process::read_text(text)?;
        let mut words = text.split_whitespace();
        let number: c_long = words.next()?.parse().ok()?;
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument =
                u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        let [first, second, third, fourth, fifth, _] = arguments;
        let long_enough = |at| self.at_least(at, 1, long);
        #[cfg(target_arch = "x86_64")]
        match number {
            libc::SYS_pause => return Some(ForEver),
            libc::SYS_poll => {
                // A negative timeout is none (poll(2)); it is an int.
                let timeout = third.cast_signed() as i32;
                only_if(timeout < 0 || Duration::from_millis(third) >= long)?;
                return self.polls(first, second);
            }
            libc::SYS_epoll_wait => return self.waits_at_epoll(first, fourth, long),
            libc::SYS_select => {
                self.at_least(fifth, 1000, long)?;
                return self.selects(first, [second, third, fourth]);
            }
            _ => {}
        }
        match number {
            libc::SYS_futex => self.waits_at_futex(arguments, long),
            // Its children are of the family, and asleep as well. One that has just ended is
            // about to wake it.
            libc::SYS_wait4 | libc::SYS_waitid | libc::SYS_rt_sigsuspend => {
                let family = process::family(self.process);
                only_if(!family.into_iter().any(process::has_ended))
            }
            libc::SYS_rt_sigtimedwait => {
                let [awaited] = self.words(first)?;
                only_if(awaited & ALARM == 0)?;
                long_enough(third)
            }
            libc::SYS_nanosleep => only_if(first != 0).and(long_enough(first)),
            libc::SYS_clock_nanosleep => match second {
                0 => long_enough(third),
                _ => self.not_before(third, first, long),
            },
            libc::SYS_read
            | libc::SYS_readv
            | libc::SYS_recvfrom
            | libc::SYS_recvmsg
            | libc::SYS_accept
            | libc::SYS_accept4 => {
                // SO_RCVTIMEO would end the wait, and only the socket itself knows of it.
                self.descriptor(first, WITH_TIMEOUT)
            }
            libc::SYS_ppoll => {
                long_enough(third)?;
                self.polls(first, second)
            }
            libc::SYS_pselect6 => {
                long_enough(fifth)?;
                self.selects(first, [second, third, fourth])
            }
            libc::SYS_epoll_pwait => self.waits_at_epoll(first, fourth, long),
            _ => None,
        }
    }

    /// No timer of its process will send it a signal.
    fn has_no_timer(&self) -> Option<ForEver> {
        let timers = process::read_text(format!("/proc/{}/timers", self.process))?;
        only_if(timers.is_empty())?;
        // The kernel does not show the timer of alarm(2) and setitimer(2). Its signal would
        // end the process, unless there is a handler. The runtime of Go has one for every
        // signal, even for one that Linux never sends, and sets no such timer itself.
        only_if(self.caught & ALARM == 0 || self.caught & STACK_FAULT != 0)
    }

    /// The time at `at` in its memory, which `unit` nanoseconds count as one in the second
    /// word, is `long` at least. No time at all is for ever.
    fn at_least(&self, at: u64, unit: u64, long: Duration) -> Option<ForEver> {
        only_if(at == 0 || self.time(at, unit)? >= long)
    }

    /// The moment at `at` in its memory, of this clock, is as far away.
    fn not_before(&self, at: u64, clock: u64, long: Duration) -> Option<ForEver> {
        only_if(at == 0 || self.time(at, 1)?.checked_sub(now(clock)?)? >= long)
    }

    fn time(&self, at: u64, unit: u64) -> Option<Duration> {
        let [seconds, rest] = self.words(at)?;
        let nanoseconds = u32::try_from(rest.checked_mul(unit)?).ok()?;
        only_if(nanoseconds < 1_000_000_000)?;
        Some(Duration::new(seconds, nanoseconds))
    }

    fn waits_at_futex(&self, arguments: [u64; 6], long: Duration) -> Option<ForEver> {
        let [address, operation, _, timeout, ..] = arguments;
        let operation = operation as i32;
        let clock = match operation & libc::FUTEX_CLOCK_REALTIME {
            0 => libc::CLOCK_MONOTONIC,
            _ => libc::CLOCK_REALTIME,
        };
        match operation & libc::FUTEX_CMD_MASK {
            _ if self.keeps_house_in_a_jvm() => ForEver,
            libc::FUTEX_WAIT => self.at_least(timeout, 1, long)?,
            libc::FUTEX_WAIT_BITSET => self.not_before(timeout, clock as u64, long)?,
            _ => return None,
        };
        // Others can wake it if the memory is shared with them.
        only_if(operation & libc::FUTEX_PRIVATE_FLAG != 0 || self.is_own_memory(address)?)
    }

    /// It is one of the threads of a Java virtual machine that look now and then whether the
    /// program's own threads have made work for them.
    fn keeps_house_in_a_jvm(&self) -> bool {
        const THEIRS: &[&str] = &[
            "VM Periodic Tas",
            "VM Thread",
            "G1 Service",
            "Monitor Deflati",
            "C1 CompilerThre",
            "C2 CompilerThre",
            "Sweeper thread",
            "Common-Cleaner",
        ];
        let read =
            |file: &str| process::read_text(format!("/proc/{}/{file}", self.process));
        let name = read(&format!("task/{}/comm", self.thread)).unwrap_or_default();
        THEIRS.contains(&name.trim_end())
            && read("maps").is_some_and(|maps| maps.contains("/libjvm.so"))
    }

    fn is_own_memory(&self, address: u64) -> Option<bool> {
        let maps = process::read_text(format!("/proc/{}/maps", self.process))?;
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (first, end) = range.split_once('-')?;
            let number = |it| u64::from_str_radix(it, 16).ok();
            let range = number(first)?..number(end)?;
            range.contains(&address).then(|| rest.as_bytes().get(3) == Some(&b'p'))
        })
    }

    fn polls(&self, at: u64, count: u64) -> Option<ForEver> {
        for place in 0..count {
            // A struct pollfd is an int and two shorts. A negative descriptor is ignored.
            let mut bytes = [0; 4];
            self.memory(at + 8 * place, &mut bytes)?;
            if let Ok(descriptor) = u64::try_from(i32::from_ne_bytes(bytes)) {
                self.descriptor(descriptor, 0)?;
            }
        }
        Some(ForEver)
    }

    fn selects(&self, count: u64, sets: [u64; 3]) -> Option<ForEver> {
        for at in sets.into_iter().filter(|at| *at != 0) {
            for place in 0..count.div_ceil(64) {
                let [word] = self.words(at + 8 * place)?;
                for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
                    if 64 * place + bit < count {
                        self.descriptor(64 * place + bit, 0)?;
                    }
                }
            }
        }
        Some(ForEver)
    }

    fn waits_at_epoll(&self, fd: u64, timeout: u64, long: Duration) -> Option<ForEver> {
        let is_none = (timeout as i32) < 0;
        only_if(is_none || Duration::from_millis(timeout & 0x7FFF_FFFF) >= long)?;
        self.descriptor(fd, 0)
    }

    /// What this descriptor is waited for can come from the family alone.
    fn descriptor(&self, fd: u64, nested: u32) -> Option<ForEver> {
        let link = fs::read_link(format!("/proc/{}/fd/{fd}", self.process)).ok()?;
        let link = link.to_str()?;
        match link {
            // Whoever is on the other end of a pipe without a name has inherited it. Our end
            // of the program's output is never closed while we look.
            _ if link.starts_with("pipe:") => Some(ForEver),
            _ if link.starts_with("socket:") => {
                let socket = sockets::ends_at(self.process, fd)?;
                only_if(nested != WITH_TIMEOUT || !socket.has_timeout)?;
                only_if(socket.is_pair || socket.is_for_strangers && self.is_fenced()?)
            }
            "anon_inode:[eventfd]" => Some(ForEver),
            "anon_inode:[eventpoll]" if nested < MOST_NESTED => {
                let details = format!("/proc/{}/fdinfo/{fd}", self.process);
                let details = process::read_text(details)?;
                for line in details.lines().filter_map(|line| line.strip_prefix("tfd:")) {
                    let fd = line.split_whitespace().next()?.parse().ok()?;
                    self.descriptor(fd, nested + 1)?;
                }
                Some(ForEver)
            }
            // Among them a timerfd: one that has just run out is shown as one that is not set.
            _ => None,
        }
    }

    /// Its network is not that of this process, so nobody but us can reach it there.
    fn is_fenced(&self) -> Option<bool> {
        let network =
            |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
        Some(network("self")? != network(&self.process.to_string())?)
    }

    fn words<const COUNT: usize>(&self, at: u64) -> Option<[u64; COUNT]> {
        let mut words = [0; COUNT];
        for (place, word) in (0..).zip(&mut words) {
            let mut bytes = [0; 8];
            self.memory(at + 8 * place, &mut bytes)?;
            *word = u64::from_ne_bytes(bytes);
        }
        Some(words)
    }

    fn memory(&self, at: u64, bytes: &mut [u8]) -> Option<()> {
        let memory = File::open(format!("/proc/{}/mem", self.process)).ok()?;
        memory.read_exact_at(bytes, at).ok()
    }
}

/// `SIGALRM`, as `/proc` counts signals.
const ALARM: u64 = 1 << (libc::SIGALRM - 1);
/// `SIGSTKFLT`.
const STACK_FAULT: u64 = 1 << (libc::SIGSTKFLT - 1);
/// An epoll instance may watch others, up to this depth (`epoll_ctl(2)`, `ELOOP`).
const MOST_NESTED: u32 = 5;
/// In place of a depth: a wait at the descriptor itself.
const WITH_TIMEOUT: u32 = u32::MAX;

fn now(clock: u64) -> Option<Duration> {
    let clock = libc::clockid_t::try_from(clock).ok()?;
    only_if([libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME].contains(&clock))?;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: takes a number, and fills a timespec of ours.
    let asked = unsafe { libc::clock_gettime(clock, &raw mut time) };
    only_if(asked == 0)?;
    let seconds = time.tv_sec.try_into().ok()?;
    Some(Duration::new(seconds, time.tv_nsec.try_into().ok()?))
}
