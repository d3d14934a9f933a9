//! Programs that wait for ever, and others that something will wake.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends with a panic")]

use std::process::{Child, Command};
use std::time::Duration;

use netlab::{asleep, process};

/// No wait below that ends by itself takes as long.
const LONG: Duration = Duration::from_secs(60);

/// A shell that waits for a program: a family of which the program is the rest.
struct Family(Child);

impl Family {
    /// Starts a program in Python, or returns `None` if that is not installed.
    fn start(test: &str, script: &str) -> Option<Family> {
        let Some(python) = testkit::python("-c") else {
            testkit::skip(test, "python3 is not installed");
            return None;
        };
        const MODULES: &str = "asyncio, ctypes, os, queue, select, signal, socket, \
                               subprocess, sys, threading, time";
        let script = format!("import {MODULES}\n{script}");
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$@\"; exit", "sh"]).arg(python.get_program());
        Some(Family(shell.args(["-c", &script]).spawn().unwrap()))
    }

    fn waits_for_ever(&self) -> bool {
        asleep::for_ever(self.0.id(), LONG)
    }
}

/// Whether the kernel tells what a thread waits for, and about timers; if not, prints a line
/// that says so.
fn kernel_tells(test: &str) -> bool {
    let files = ["/proc/self/syscall", "/proc/self/timers"];
    let missing = files.into_iter().find(|file| std::fs::read(file).is_err());
    if let Some(file) = missing {
        testkit::skip(test, &format!("this kernel has no {file}"));
    }
    missing.is_none()
}

/// Whether another process's socket can be asked (`pidfd_getfd(2)`, since Linux 5.6, which a
/// container may refuse); if not, prints a line that says so.
fn sockets_can_be_asked(test: &str) -> bool {
    let release = process::read_text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map(|it| it.parse::<u32>().unwrap_or(0));
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let status = process::read_text("/proc/self/status").unwrap_or_default();
    let can = release >= (5, 6) && status.contains("Seccomp:\t0");
    if !can {
        testkit::skip(test, "waits at sockets: pidfd_getfd(2) may be refused here");
    }
    can
}

impl Drop for Family {
    fn drop(&mut self) {
        process::family(self.0.id()).into_iter().for_each(process::kill);
        let _ = self.0.wait();
    }
}

#[test]
fn wait_for_nobody_is_for_ever() {
    if !kernel_tells("wait_for_nobody") {
        return;
    }
    let asked = sockets_can_be_asked("wait_for_nobody");
    for script in [
        "threading.Event().wait()",
        "threading.Event().wait(3600)",
        "time.sleep(3600)",
        "threading.Thread(target=threading.Event().wait).start()",
        "asyncio.run(asyncio.Event().wait())",
        "asyncio.run(asyncio.sleep(3600))",
        "read, write = os.pipe(); os.read(read, 1)",
        "read, write = os.pipe(); select.select([read], [], [])",
        "read, write = os.pipe(); p = select.poll(); p.register(read); p.poll()",
        "one, other = socket.socketpair(); one.recv(1)",
        "signal.pause()",
        "signal.sigwait({signal.SIGUSR1})",
        "subprocess.run(['sleep', '3600'])",
        "select.select([], [], [], 3600)",
    ] {
        // The loop of asyncio wakes itself through a pair of sockets.
        if !asked && (script.contains("asyncio") || script.contains("socket")) {
            continue;
        }
        let Some(family) = Family::start("wait_for_nobody", script) else { return };
        testkit::until(script, || family.waits_for_ever());
    }
}

/// Each wait is made many times and looked at all the while: what has just come, and has
/// not woken its thread yet, must not look like what never comes.
#[test]
fn wait_that_something_ends_is_not_for_ever() {
    for script in [
        "time.sleep(0.01)",
        "threading.Event().wait(0.01)",
        "asyncio.run(asyncio.sleep(0.01))",
        "select.select([], [], [], 0.01)",
        "select.poll().poll(10)",
        "subprocess.run(['sleep', '0.01'])",
        // A child ends, and the kernel says so with a signal.
        "signal.pthread_sigmask(0, {17}); child = subprocess.Popen(['sleep', '0.01'])
signal.sigwait({17}); child.wait()",
        "read, write = os.pipe2(os.O_NONBLOCK); signal.signal(17, lambda *_: None)
signal.set_wakeup_fd(write); child = subprocess.Popen(['sleep', '0.01'])
select.select([read], [], []); child.wait()",
        // The main thread waits for another one.
        "done = threading.Event()
threading.Thread(target=lambda: (time.sleep(0.01), done.set())).start()
done.wait()",
        // Two threads hand the turn to each other.
        "there, back, end = queue.Queue(), queue.Queue(), time.monotonic() + 0.01
serve = lambda: [back.put(number) for number in iter(there.get, None)]
threading.Thread(target=serve).start()
while time.monotonic() < end: there.put(1); back.get()
there.put(None)",
        // Timers of each kind.
        "signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(0, 0.01, 0.01)
signal.pause(); signal.setitimer(0, 0)",
        "signal.pthread_sigmask(0, {14}); signal.setitimer(0, 0.01); signal.sigwait({14})",
        "c = ctypes.CDLL(None); times = (ctypes.c_long * 4)(0, 0, 0, 10_000_000)
timer = c.timerfd_create(1, 0); c.timerfd_settime(timer, 0, times, None)
select.select([timer], [], [])",
        "c = ctypes.CDLL(None); times = (ctypes.c_long * 4)(0, 10_000_000, 0, 10_000_000)
timer = ctypes.c_void_p(); signal.signal(signal.SIGUSR1, lambda *_: None)
event = (ctypes.c_int * 16)(0, 0, signal.SIGUSR1)
c.timer_create(1, event, ctypes.byref(timer)); c.timer_settime(timer, 0, times, None)
signal.pause(); c.timer_delete(timer)",
        // A socket with a timeout of its own.
        "one, other = socket.socketpair()
one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(8) + (10000).to_bytes(8, 'little'))
try: one.recv(1)
except BlockingIOError: pass",
    ] {
        let many = format!("for _ in range(50): exec({script:?}, globals())");
        let Some(mut family) = Family::start("wait_that_ends", &many) else { return };
        testkit::until(script, || {
            assert!(!family.waits_for_ever(), "{script}");
            process::has_ended(family.0.id())
        });
        assert!(family.0.wait().unwrap().success(), "{script}");
    }
}

/// Anybody on the host may send it something.
#[test]
fn wait_for_a_stranger_is_not_for_ever() {
    let script = "s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 0))
s.recv(1)";
    let Some(family) = Family::start("wait_for_a_stranger", script) else { return };
    let program = || process::family(family.0.id()).get(1).copied();
    testkit::until("it sleeps with a socket", || {
        netlab::sockets::family_ready(family.0.id())
            && program().is_some_and(|it| process::sleeps(it) == Some(true))
    });
    assert!(!family.waits_for_ever());
}
