//! What programs seldom do: they are killed with threads at work, are interrupted in a call
//! that goes on, ask for more than they have room for.

use flow::event::{Change, Event, Log};
use libtest_mimic::{Failed, Trial};

use crate::conversations::{drawn, has_network};
use crate::tool::{self, flow, log, run, says, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let python: &[&str] = &["python3"];
    vec![
        trial("a_process_with_threads_ends_once", python, ends_with_threads),
        trial("a_process_that_is_killed_ends", python, killed),
        trial("accept_goes_on_after_a_signal", python, accept_goes_on),
        trial("a_result_beyond_the_buffer", python, beyond_the_buffer),
        trial("what_is_urgent_is_waited_for", python, urgent),
        trial("an_event_that_is_removed", python, removed_event),
        trial("the_queue_of_errors_has_no_end", python, queue_of_errors),
        trial("sendfile_is_in_the_sums", python, sendfile_sums),
        trial("splice_is_in_the_sums_of_both_ways", python, splice_sums),
        trial("only_a_ring_that_is_there_is_told", python, ring),
    ]
}

fn script(text: &str) -> Log {
    log(&[], &[&[&tool::python(), "-c", text]])
}

/// How the processes of a log have ended.
fn ends(log: &Log) -> Vec<Change> {
    let ends = log.events.iter().filter_map(|event| match event {
        Event::Process(it) => Some(it.what.clone()),
        _ => None,
    });
    ends.filter(|it| matches!(it, Change::Exited(_) | Change::Killed(_))).collect()
}

/// exit_group(2) ends the other threads. Those that are stopped, because it is not their turn,
/// do not say so.
fn ends_with_threads() -> Result<(), Failed> {
    let log = script(
        "import os, socket, threading\n\
         a, b = socket.socketpair()\n\
         def work():\n\
         \x20   while True: a.getsockname()\n\
         all = [threading.Thread(target=work) for _ in range(4)]\n\
         for each in all: each.start()\n\
         for _ in range(20): b.getsockname()\n\
         os._exit(3)\n",
    );
    assert_eq!(ends(&log), [Change::Exited(3)]);
    Ok(())
}

fn killed() -> Result<(), Failed> {
    let log = script(
        "import os, signal, socket\n\
         a, b = socket.socketpair()\n\
         child = os.fork()\n\
         if child == 0: a.send(b'!'); a.recv(1)\n\
         b.recv(1); os.kill(child, signal.SIGKILL); os.waitpid(child, 0)\n",
    );
    assert_eq!(ends(&log), [Change::Killed("SIGKILL".to_owned()), Change::Exited(0)]);
    Ok(())
}

/// A signal that the program ignores interrupts accept(2) only for the tracer. Its fourth
/// register is not an argument.
fn accept_goes_on() -> Result<(), Failed> {
    let log = script(
        "import ctypes, os, socket, time\n\
         def until(what):\n\
         \x20   while not what(): time.sleep(0.001)\n\
         def state(pid): return open(f'/proc/{pid}/stat').read().rsplit(')')[1].split()[0]\n\
         def call(pid): return open(f'/proc/{pid}/syscall').read().split()[0]\n\
         number = {'x86_64': '43', 'aarch64': '202'}[os.uname().machine]\n\
         s = socket.create_server(('127.0.0.1', 0)); parent = os.getpid()\n\
         def accepts(): return state(parent) == 'S' and call(parent) == number\n\
         one = os.fork()\n\
         if one == 0: until(accepts); os._exit(0)\n\
         two = os.fork()\n\
         if two == 0:\n\
         \x20   until(lambda: state(one) == 'Z'); until(accepts)\n\
         \x20   socket.create_connection(s.getsockname()); os._exit(0)\n\
         fd = ctypes.CDLL(None).syscall(int(number), s.fileno(), None, None, 77)\n\
         assert fd > 0\n",
    );
    let interrupted = |it: &Event| matches!(it, Event::Process(it) if it.what == Change::Signal("SIGCHLD".to_owned()));
    assert!(log.events.iter().any(interrupted));
    let text = drawn(&log);
    assert!(text.contains("accept"), "{text}");
    assert!(!text.contains("EINTR"), "{text}");
    Ok(())
}

fn beyond_the_buffer() -> Result<(), Failed> {
    let log = script(
        "import socket\n\
         a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(('127.0.0.1', 0))\n\
         a.sendto(b'0123456789', a.getsockname()); a.recv(4, socket.MSG_TRUNC)\n",
    );
    let text = drawn(&log);
    assert!(text.contains("4, MSG_TRUNC) = 10 \"0123\"\n"), "{text}");
    if has_network(&log) {
        assert!(text.contains("6 bytes of this datagram were cut off"), "{text}");
    }
    Ok(())
}

fn urgent() -> Result<(), Failed> {
    let log = script(
        "import select, socket\n\
         s = socket.create_server(('127.0.0.1', 0))\n\
         a = socket.create_connection(s.getsockname()); b, _ = s.accept()\n\
         a.send(b'!', socket.MSG_OOB); select.select([], [], [b]); b.recv(1, socket.MSG_OOB)\n",
    );
    let text = drawn(&log);
    assert!(text.contains("NULL, NULL, [5]) = 1 [5]"), "{text}");
    Ok(())
}

/// Python gives the kernel a structure for this that it has not filled.
fn removed_event() -> Result<(), Failed> {
    let log = script(
        "import select, socket\n\
         a, b = socket.socketpair(); epoll = select.epoll(); epoll.register(a, select.EPOLLIN)\n\
         epoll.unregister(a)\n",
    );
    let text = drawn(&log);
    assert!(text.contains("EPOLL_CTL_ADD, 3, EPOLLIN) = 0"), "{text}");
    assert!(text.contains("EPOLL_CTL_DEL, 3) = 0"), "{text}");
    Ok(())
}

/// What comes from there are control messages, with no bytes of the stream.
fn queue_of_errors() -> Result<(), Failed> {
    // SO_ZEROCOPY and MSG_ZEROCOPY; the kernel reports on the queue when it needs the bytes no
    // more.
    let log = script(
        "import ctypes, select, socket\n\
         s = socket.create_server(('127.0.0.1', 0))\n\
         a = socket.create_connection(s.getsockname()); b, _ = s.accept()\n\
         a.setsockopt(socket.SOL_SOCKET, 60, 1); a.send(b'bytes', 0x4000000); b.recv(9)\n\
         poll = select.poll(); poll.register(a, select.POLLERR); poll.poll()\n\
         message = (ctypes.c_uint64 * 7)(0, 0, 0, 0, 0, 0, 0)\n\
         room = ctypes.create_string_buffer(9); control = ctypes.create_string_buffer(99)\n\
         vector = (ctypes.c_uint64 * 2)(ctypes.addressof(room), 9)\n\
         message[2] = ctypes.addressof(vector); message[3] = 1\n\
         message[4] = ctypes.addressof(control); message[5] = 99\n\
         ctypes.CDLL(None).recvmsg(a.fileno(), message, socket.MSG_ERRQUEUE)\n",
    );
    let text = drawn(&log);
    assert!(text.contains("MSG_ERRQUEUE) = 0 IP_RECVERR"), "{text}");
    assert!(!text.contains("end of stream"), "{text}");
    Ok(())
}

fn sendfile_sums() -> Result<(), Failed> {
    let script = "import os, socket, tempfile\n\
        a, b = socket.socketpair()\n\
        with tempfile.TemporaryFile() as f:\n\
        \x20   f.write(b'x' * 321); f.flush(); os.sendfile(a.fileno(), f.fileno(), 0, 321)\n";
    let run = run(&mut flow(&["--summary", "--", &tool::python(), "-c", script]));
    let line = run.stdout.lines().find(|it| it.contains("sendfile")).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words.get(..4),
        Some(&["sendfile", "1", "0", "321"][..]),
        "{}",
        run.stdout
    );
    says(&run, "socketpair")
}

/// What splice(2) moves from a socket is received, and what it moves to one is sent.
fn splice_sums() -> Result<(), Failed> {
    let script = "import os, socket\n\
        a, b = socket.socketpair(); r, w = os.pipe(); a.sendall(b'x' * 321)\n\
        os.splice(b.fileno(), w, 321); os.splice(r, b.fileno(), 300)\n";
    let run = run(&mut flow(&["--summary", "--", &tool::python(), "-c", script]));
    let line = run.stdout.lines().find(|it| it.contains("splice")).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    let expected = ["splice", "2", "0", "300", "321"];
    assert_eq!(words.get(..5), Some(&expected[..]), "{}", run.stdout);
    Ok(())
}

/// Many a runtime asks for a ring to learn whether it may have one.
fn ring() -> Result<(), Failed> {
    let told = |entries: u32| {
        let log = script(&format!(
            "import ctypes, socket\n\
             a, b = socket.socketpair()\n\
             call = ctypes.CDLL(None, use_errno=True).syscall\n\
             fd = call(425, {entries}, (ctypes.c_char * 120)())\n\
             a.send(b'made' if fd >= 0 else b'none'); b.recv(4)\n",
        ));
        let text = drawn(&log);
        (text.contains("\"made\""), text.contains("uses io_uring"))
    };
    // A ring without entries cannot be had.
    assert_eq!(told(0), (false, false));
    let (made, told) = told(1);
    assert_eq!(made, told);
    Ok(())
}
