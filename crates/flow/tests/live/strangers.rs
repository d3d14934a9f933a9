//! Programs unlike those of the lessons: they change their user, never rest, compute,
//! fork into the background, open more than one port.

use std::process::Command;
use std::time::{Duration, Instant};

use flow::event::{Change, Event};
use libtest_mimic::{Failed, Trial};

use crate::tool::{self, flow, log, run, says, trial, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("programs_may_change_their_user", &["python3"], change_user),
        trial("programs_are_who_they_are", &["setpriv", "python3"], who_they_are),
        trial("a_server_with_a_timer_is_ended", &["python3"], server_with_a_timer),
        trial("a_server_that_sleeps_with_work_left", &["python3"], sleeps_with_work_left),
        trial("until_ends_and_not_before", &["python3"], until_ends),
        trial("a_thread_that_computes", &["python3"], computing_thread),
        trial("ready_when_the_daemon_listens", &["python3"], daemon),
        trial("ready_is_not_a_socket_for_questions", &["python3"], early_socket),
        trial("waits_for_a_port", &["python3"], wait_port),
        trial("waits_for_a_line", &["python3"], wait_line),
        trial("a_signal_ends_in_a_drawing", &["python3"], ended_by_signal),
        trial("a_signal_at_any_moment_ends_it", &["sleep"], signal_at_any_moment),
        trial(
            "a_program_that_ignores_the_signal",
            &["python3"],
            ended_although_it_will_not,
        ),
        trial("a_call_that_slept_is_seen_to", &["python3"], slept),
        trial("arguments_are_bytes", &["python3"], bytes_in_arguments),
    ]
}

const CLIENT: &str = "import socket\n\
    c = socket.create_connection(('127.0.0.1', 12345)); print(c.recv(100)); c.close()\n";

fn change_user() -> Result<(), Failed> {
    if !tool::is_root() {
        testkit::skip("programs_may_change_their_user", "only root can");
        return Ok(());
    }
    let script = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); \
                  print('now', os.getuid(), os.getgroups())";
    // Another user cannot read a Python in root's home: the program must already be
    // running.
    let run = run(&mut flow(&["--", &tool::python(), "-c", script]));
    says(&run, "now 65534 []")
}

fn who_they_are() -> Result<(), Failed> {
    let script = "import os, socket; print('uid', os.getuid(), 'gid', os.getgid());\
                  s = socket.socket(); s.bind(('127.0.0.1', 80)); print('bound')";
    if !tool::is_root() {
        let own = run(Command::new("id").arg("-u")).stdout;
        let run = run(&mut flow(&["--", &tool::python(), "-c", script]));
        return says(&run, &format!("uid {} gid", own.trim()));
    }
    let run = tool::as_nobody(&["--", "/usr/bin/python3", "-c", script]);
    let nobody =
        run.stdout.contains("uid 65534 gid 65534") || run.stdout.contains("uid 65534");
    assert!(nobody, "{}{}", run.stdout, run.stderr);
    // On a private network, every port is free.
    if !run.stdout.contains("no packets") {
        says(&run, "bound")?;
    }
    Ok(())
}

/// It wakes up twenty times a second, and would do so for ever.
fn server_with_a_timer() -> Result<(), Failed> {
    let server = "import select, socket\n\
        listener = socket.create_server(('127.0.0.1', 12345))\n\
        while True:\n\
        \x20 if select.select([listener], [], [], 0.05)[0]:\n\
        \x20\x20 c, _ = listener.accept(); c.sendall(b'x'); c.close()\n";
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", server], &[&python, "-c", CLIENT]]);
    let interrupted = |it: &Event| matches!(it, Event::Process(it) if it.side == 0 && it.what == Change::Signal("SIGINT".into()));
    assert!(log.events.iter().any(interrupted));
    Ok(())
}

fn sleeps_with_work_left() -> Result<(), Failed> {
    let server = "import socket, time\n\
        listener = socket.create_server(('127.0.0.1', 12345))\n\
        c, _ = listener.accept(); c.sendall(b'x'); time.sleep(0.4); print('work done')\n";
    let python = tool::python();
    let run = run(&mut flow(&["--", &python, "-c", server, "--", &python, "-c", CLIENT]));
    says(&run, "work done")?;
    assert!(!run.stdout.contains("gets SIGINT"), "{}", run.stdout);
    Ok(())
}

fn until_ends() -> Result<(), Failed> {
    let server = "import socket\n\
        listener = socket.create_server(('127.0.0.1', 12345))\n\
        while True: c, _ = listener.accept(); c.sendall(b'x'); c.close()\n";
    let python = tool::python();
    let began = Instant::now();
    let args =
        ["--until", "1.5", "--", &python, "-c", server, "--", &python, "-c", CLIENT];
    let run = run(&mut flow(&args));
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    says(&run, "gets SIGINT")
}

/// Ten round trips beside a thread that never rests. If each turn waited for that thread,
/// this would take half a minute.
fn computing_thread() -> Result<(), Failed> {
    let server = "import ctypes, socket, threading\n\
        listener = socket.create_server(('127.0.0.1', 12345))\n\
        def compute():\n\
        \x20 while True: pass\n\
        threading.Thread(target=compute, daemon=True).start()\n\
        c, _ = listener.accept()\n\
        while data := c.recv(10): c.sendall(data)\n";
    let client = "import socket\n\
        c = socket.create_connection(('127.0.0.1', 12345))\n\
        for _ in range(10): c.sendall(b'x'); c.recv(10)\n";
    let python = tool::python();
    let began = Instant::now();
    let run = run(&mut flow(&["--", &python, "-c", server, "--", &python, "-c", client]));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!run.stdout.contains("neither listened"), "{}", run.stdout);
    says(&run, "end of stream")
}

/// Its first process ends at once; the one that serves listens later.
fn daemon() -> Result<(), Failed> {
    let server = "import os, socket, time\n\
        if os.fork(): os._exit(0)\n\
        os.setsid()\n\
        if os.fork(): os._exit(0)\n\
        time.sleep(0.2)\n\
        listener = socket.create_server(('127.0.0.1', 12345))\n\
        c, _ = listener.accept(); c.sendall(b'from a daemon'); c.close()\n";
    let python = tool::python();
    let run = run(&mut flow(&["--", &python, "-c", server, "--", &python, "-c", CLIENT]));
    says(&run, "b'from a daemon'")
}

fn early_socket() -> Result<(), Failed> {
    let server = "import socket, time\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 0))\n\
        time.sleep(0.3)\n\
        listener = socket.create_server(('127.0.0.1', 12345))\n\
        c, _ = listener.accept(); c.sendall(b'in time'); c.close()\n";
    let python = tool::python();
    let run = run(&mut flow(&["--", &python, "-c", server, "--", &python, "-c", CLIENT]));
    says(&run, "b'in time'")
}

/// Listens on a port where nobody connects, and only a second later on the one where the
/// client does.
const TWO_PORTS: &str = "import socket, time\n\
    other = socket.create_server(('127.0.0.1', 12346))\n\
    time.sleep(1); print('the second port is next', flush=True)\n\
    listener = socket.create_server(('127.0.0.1', 12345))\n\
    c, _ = listener.accept(); c.sendall(b'in time'); c.close()\n";

fn wait_port() -> Result<(), Failed> {
    let python = tool::python();
    let sides = ["--", &python, "-c", TWO_PORTS, "--", &python, "-c", CLIENT];
    let run = run(&mut flow(&[&["--wait-port", "12345"][..], &sides].concat()));
    says(&run, "b'in time'")
}

fn wait_line() -> Result<(), Failed> {
    let python = tool::python();
    let client = "import time, socket\n\
        while True:\n\
        \x20 try: c = socket.create_connection(('127.0.0.1', 12345)); break\n\
        \x20 except ConnectionRefusedError: print('refused'); time.sleep(0.05)\n\
        print(c.recv(100))\n";
    let sides = ["--", &python, "-c", TWO_PORTS, "--", &python, "-c", client];
    let run = run(&mut flow(&[&["--wait-line", "port is next"][..], &sides].concat()));
    says(&run, "b'in time'")?;
    // At ten attempts a second, it would have been refused more often.
    assert!(run.stdout.matches("refused\n").count() < 5, "{}", run.stdout);
    Ok(())
}

/// SIGTERM, SIGHUP and SIGINT to flow alone leave a drawing, a complete log and a
/// complete capture.
fn ended_by_signal() -> Result<(), Failed> {
    let server = "import socket; listener = socket.create_server(('127.0.0.1', 12345)); \
                  print('listens', flush=True); listener.accept()";
    let python = tool::python();
    // Under nohup(1), flow outlives its terminal too.
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    let ignored = ignored.and_then(|it| u64::from_str_radix(it, 16).ok()).unwrap_or(0);
    let hears_hangup = ignored & 1 == 0;
    for signal in ["TERM", "HUP", "INT"] {
        if signal == "HUP" && !hears_hangup {
            testkit::skip("a_signal_ends_in_a_drawing", "SIGHUP is ignored (nohup)");
            continue;
        }
        let (file, packets) =
            (tool::scratch("log.json"), tool::scratch("packets.pcapng"));
        let args = [
            "--log",
            file.to_str().expect("UTF-8"),
            "--pcap",
            packets.to_str().expect("UTF-8"),
            "--",
            &python,
            "-c",
            server,
        ];
        let mut child = flow(&args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("start flow");
        let id = child.id().to_string();
        let mut ended = false;
        until("it listens", || {
            ended = child.try_wait().expect("look at flow").is_some();
            ended || netlab::sockets::family_ready(child.id())
        });
        if ended {
            let run = tool::finish(child);
            assert_eq!(run.status, Some(77), "{}", run.stderr);
            return Ok(()); // No packets here.
        }
        Command::new("kill").args([&format!("-{signal}"), &id]).status().expect("kill");
        let run = tool::finish(child);
        assert_eq!(run.status, Some(0), "{signal}: {}", run.stderr);
        says(&run, "[LISTEN]")?;
        says(&run, &format!("gets SIG{signal}"))?;
        let read = tool::read(&file);
        assert!(read.events.len() > 5, "{signal}");
        assert!(std::fs::metadata(&*packets).expect("a capture").len() > 50);
    }
    Ok(())
}

/// Also between the moment from which flow hears signals and the start of the program.
fn signal_at_any_moment() -> Result<(), Failed> {
    use std::os::unix::process::ExitStatusExt as _;
    let quiet = std::process::Stdio::null;
    for turn in 0..30 {
        let mut command = flow(&["--", "sleep", "1000"]);
        let mut child = command.stdout(quiet()).stderr(quiet()).spawn()?;
        let watchdog = tool::watchdog(&child);
        std::thread::park_timeout(Duration::from_millis(turn));
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        let status = child.wait()?;
        drop(watchdog);
        assert_ne!(status.signal(), Some(libc::SIGKILL), "after {turn} ms");
    }
    Ok(())
}

/// A program that ignores what it is asked ends all the same, and flow with a drawing.
fn ended_although_it_will_not() -> Result<(), Failed> {
    let server = "import signal, socket\n\
        signal.signal(signal.SIGINT, signal.SIG_IGN)\n\
        listener = socket.create_server(('127.0.0.1', 12345)); listener.accept()\n";
    let mut child = flow(&["--", &tool::python(), "-c", server])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("start flow");
    let id = child.id().to_string();
    let mut ended = false;
    until("it listens", || {
        ended = child.try_wait().expect("look at flow").is_some();
        ended || netlab::sockets::family_ready(child.id())
    });
    if !ended {
        Command::new("kill").args(["-INT", &id]).status().expect("kill");
    }
    let run = tool::finish(child);
    if ended {
        assert_eq!(run.status, Some(77), "{}", run.stderr);
        return Ok(()); // No tracing here.
    }
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    says(&run, "[LISTEN]")?;
    says(&run, " ms after it was asked to: SIGKILL")?;
    says(&run, "killed by SIGKILL")
}

fn slept() -> Result<(), Failed> {
    // The peer's buffer is full and nobody reads: only the clock ends it.
    let script = "import socket\n\
        a, b = socket.socketpair(); a.settimeout(None)\n\
        import struct; a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 200000))\n\
        try: a.sendall(b'x' * 10_000_000)\n\
        except BlockingIOError: pass\n";
    let log = log(&[], &[&[&tool::python(), "-c", script]]);
    let waited = |it: &Event| matches!(it, Event::Return(it) if it.waited);
    assert!(log.events.iter().any(waited));
    Ok(())
}

fn bytes_in_arguments() -> Result<(), Failed> {
    use std::os::unix::ffi::OsStrExt as _;
    let script = "import os, sys; print([os.fsencode(it) for it in sys.argv[1:]])";
    let mut command = flow(&["--", &tool::python(), "-c", script]);
    command.arg(std::ffi::OsStr::from_bytes(b"a\xff"));
    says(&run(&mut command), r"[b'a\xff']")
}
