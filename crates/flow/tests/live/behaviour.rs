//! A traced program behaves like an untraced one.

use std::process::{Command, Stdio};

use flow::event::{Change, Event, Protocol};
use libtest_mimic::{Failed, Trial};
use testkit::Filter;

use crate::tool::{self, Run, flow, log, run, says, trial, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("same_output_and_exit_status", &["python3"], same_output),
        trial("dies_by_a_signal", &[], dies_by_a_signal),
        trial("signals_are_delivered_real_time_ones_too", &["python3"], signals),
        trial("stopped_and_continued", &[], stopped_and_continued),
        trial("a_signal_interrupts_a_call", &["python3"], interrupted_call),
        trial("closes_its_descriptors", &["python3"], closes_descriptors),
        trial("forks_and_threads_are_followed", &["python3"], forks_and_threads),
        trial("forks_wildly", &["python3"], forks_wildly),
        trial("many_clients_in_turn_are_accepted", &["python3"], many_clients),
        trial("exec_from_a_thread", &["python3"], exec_from_a_thread),
        trial("killed_with_the_tracer", &["python3"], killed_with_the_tracer),
        trial("already_traced", &["strace", "sleep"], already_traced),
        trial("joins_and_leaves_a_running_program", &["python3"], joins_and_leaves),
        trial("joins_a_program_whose_threads_come_and_go", &["python3"], joins_threads),
        trial("joins_a_program_for_a_time", &["python3"], joins_for_a_time),
        trial("refused_says_why_and_is_77", &[], refused),
        trial("no_namespaces_no_packets", &["unshare", "python3"], no_namespaces),
        trial("thirty_two_bit_code", &[], thirty_two_bit),
        trial("no_such_program", &[], no_such_program),
        trial("no_such_process", &[], no_such_process),
        trial("wrong_command_line", &[], wrong_command_line),
        trial("sockets_that_cannot_be_borrowed", &["python3"], sockets_not_borrowed),
        trial("memory_that_cannot_be_read_at_once", &["python3"], memory_not_read),
        trial(
            "packets_that_leave_cannot_be_ignored",
            &["python3"],
            outgoing_packets_not_ignored,
        ),
        trial("calls_that_are_not_told_are_refused", &["python3"], calls_not_told),
        trial("a_number_that_is_a_file_now", &["python3"], descriptor_is_a_file_now),
        trial("calls_seldom_seen", &["python3"], calls_seldom_seen),
        trial("a_full_disk_is_told", &["python3"], full_disk),
        trial("names_are_safe_for_the_terminal", &[], names_are_safe),
        trial("an_ordinary_user", &["setpriv", "python3"], ordinary_user),
    ]
}

fn shell(script: &str) -> Run {
    run(&mut flow(&["--", "sh", "-c", script]))
}

fn same_output() -> Result<(), Failed> {
    let script = "import sys, os; print(sys.argv, os.sched_getaffinity(0), os.environ == \
                  dict(os.environ)); print('err', file=sys.stderr); sys.exit(7)";
    let python = tool::python();
    let words = [python.as_str(), "-c", script, "a b", ""];
    let plain = run(Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()));
    let mut args = vec!["--"];
    args.extend(words);
    let traced = run(&mut flow(&args));
    assert!(traced.stdout.starts_with(&plain.stdout), "{}", traced.stdout);
    // After it, flow says that it has nothing to draw, and why.
    let said = traced.stderr.strip_prefix(&plain.stderr);
    let said = said.ok_or_else(|| format!("{:?}", traced.stderr))?;
    assert!(
        said.contains("it exited with status 7 before making a socket call"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!((plain.status, traced.status), (Some(7), Some(1)));
    says(&traced, "exits 7")
}

fn dies_by_a_signal() -> Result<(), Failed> {
    says(&shell("kill -SEGV $$"), "killed by SIGSEGV")?;
    says(&shell("kill -KILL $$"), "killed by SIGKILL")
}

fn signals() -> Result<(), Failed> {
    let script = "import os, signal\n\
        for number in (signal.SIGUSR1, signal.SIGRTMIN, signal.SIGRTMIN + 5, signal.SIGRTMAX):\n\
        \x20 signal.signal(number, lambda n, _: print('got', n, flush=True))\n\
        \x20 os.kill(os.getpid(), number)\n";
    let run = run(&mut flow(&["--", &tool::python(), "-c", script]));
    for number in [10, 34, 39, 64] {
        says(&run, &format!("got {number}\n"))?;
    }
    says(&run, "gets SIGRTMIN+5")
}

fn stopped_and_continued() -> Result<(), Failed> {
    // Only a real stop makes the other shell's `kill -CONT` necessary.
    let script = "(while ! grep -q '^State:.[Tt]' /proc/$$/status; do :; done; \
                  kill -CONT $$) & kill -STOP $$; wait; echo went on";
    says(&shell(script), "went on")
}

fn interrupted_call() -> Result<(), Failed> {
    // An interval timer interrupts accept(2), which Python then calls again.
    let script = "import signal, socket\n\
        class Enough(Exception): pass\n\
        times = []\n\
        def tick(*_):\n\
        \x20 times.append(1)\n\
        \x20 if len(times) == 3: raise Enough\n\
        signal.signal(signal.SIGALRM, tick)\n\
        listener = socket.create_server(('127.0.0.1', 0))\n\
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\n\
        try: listener.accept()\n\
        except Enough: print('enough', flush=True)\n";
    let run = run(&mut flow(&["--", &tool::python(), "-c", script]));
    says(&run, "enough\n")?;
    says(&run, "accept = -1 EINTR")
}

fn closes_descriptors() -> Result<(), Failed> {
    let script = "import os, socket; a = socket.socket(); os.closerange(0, 1000); \
                  b = socket.socket(); assert b.fileno() == 0; b.close()";
    let log = log(&[], &[&[&tool::python(), "-c", script]]);
    assert_eq!(tool::calls(&log, 0)[..3], ["socket", "close_range", "socket"]);
    Ok(())
}

fn forks_and_threads() -> Result<(), Failed> {
    let script = "import os, socket, threading\n\
        def pair(): a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'\n\
        for _ in range(20):\n\
        \x20 if os.fork() == 0: pair(); os._exit(0)\n\
        threads = [threading.Thread(target=pair) for _ in range(20)]\n\
        [it.start() for it in threads]; [it.join() for it in threads]\n\
        while True:\n\
        \x20 try: os.wait()\n\
        \x20 except ChildProcessError: break\n";
    for free in [&[][..], &["--free"]] {
        let log = log(free, &[&[&tool::python(), "-c", script]]);
        let received = log.events.iter().filter(
            |it| matches!(it, Event::Return(it) if it.data.as_ref().is_some_and(|it| it.bytes == b"x")),
        );
        assert_eq!(received.count(), 40);
        let exited = log.events.iter().filter(
            |it| matches!(it, Event::Process(it) if it.what == Change::Exited(0)),
        );
        assert_eq!(exited.count(), 21);
    }
    Ok(())
}

/// A tree of 127 processes whose parents do not wait for them, each with its own pair of
/// sockets.
fn forks_wildly() -> Result<(), Failed> {
    let script = "import os, socket\n\
        for _ in range(6): os.fork()\n\
        if os.fork(): os._exit(0)\n\
        a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'; os._exit(3)\n";
    for free in [&[][..], &["--free"]] {
        let log = log(free, &[&[&tool::python(), "-c", script]]);
        let count = |status| {
            let is = |it: &&Event| matches!(it, Event::Process(it) if it.what == Change::Exited(status));
            log.events.iter().filter(is).count()
        };
        assert_eq!((count(0), count(3)), (64, 64));
        let pairs = tool::calls(&log, 0);
        assert_eq!(pairs.iter().filter(|it| *it == "socketpair").count(), 64);
    }
    Ok(())
}

/// Each of forty clients connects in its turn, and none of them finds the accept queue full: the
/// server has as many turns as all of them together.
fn many_clients() -> Result<(), Failed> {
    let server = "import socket\n\
        listener = socket.create_server(('127.0.0.1', 7000), backlog=4)\n\
        connections = [listener._accept()[0] for _ in range(40)]\n";
    let client = "import os, socket\n\
        for _ in range(40):\n\
        \x20 if os.fork() == 0:\n\
        \x20   peer = socket.create_connection(('127.0.0.1', 7000)); peer.recv(1); os._exit(0)\n\
        for _ in range(40): assert os.wait()[1] == 0\n";
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", server], &[&python, "-c", client]]);
    let is_syn = |it: &&Event| {
        matches!(it, Event::Packet(it) if matches!(&it.protocol,
            Protocol::Tcp { flags, .. } if flags.to_string() == "SYN"))
    };
    assert_eq!(log.events.iter().filter(is_syn).count(), 40);
    Ok(())
}

/// A traced process already has its tracer, and so has what it starts: the inner flow is
/// refused.
fn refused() -> Result<(), Failed> {
    let run = shell(&format!("'{}' -- true", env!("CARGO_BIN_EXE_flow")));
    assert!(run.stderr.starts_with("trace true: "), "{}", run.stderr);
    assert!(run.stderr.contains("flow show"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
    says(&run, "exits 77")
}

/// A user namespace in which no more may be made refuses what a sandbox would refuse.
fn no_namespaces() -> Result<(), Failed> {
    let script = "cd /proc/sys/user && echo 0 > max_user_namespaces && \
                  echo 0 > max_net_namespaces && exec \"$0\" \"$@\"";
    let refused = |args: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["-Ur", "sh", "-c", script, env!("CARGO_BIN_EXE_flow")]);
        run(unshare.args(args).stdin(Stdio::null()))
    };
    let python = tool::python();
    let script = "import socket; socket.socket().close()";
    let calls_alone = refused(&["--", &python, "-c", script]);
    if calls_alone.stderr.starts_with("unshare: ") {
        testkit::skip("no_namespaces_no_packets", calls_alone.stderr.trim());
        return Ok(());
    }
    says(&calls_alone, "socket(AF_INET, SOCK_STREAM) = 3")?;
    says(&calls_alone, "Only calls, no packets: unshare(CLONE_NEWUSER): ")?;
    assert_eq!(calls_alone.status, Some(0));

    // What cannot be done at all is refused.
    let file = tool::scratch("refused.pcapng");
    let packets = refused(&["--pcap", &file.to_string_lossy(), "--", "true"]);
    assert!(packets.stderr.starts_with("capture packets: "), "{}", packets.stderr);
    assert_eq!(packets.status, Some(77));
    Ok(())
}

fn exec_from_a_thread() -> Result<(), Failed> {
    let script = "import os, threading, time\n\
        threading.Thread(target=lambda: os.execlp('sh', 'sh', '-c', 'echo new')).start()\n\
        threading.Event().wait()\n";
    let run = run(&mut flow(&["--", &tool::python(), "-c", script]));
    says(&run, "new\n")?;
    // The first thread ends in the middle, the process at its end.
    assert_eq!(run.stdout.matches("exits").count(), 1, "{}", run.stdout);
    says(&run, "exits 0")
}

fn killed_with_the_tracer() -> Result<(), Failed> {
    let script = "import os, socket; listener = socket.create_server(('127.0.0.1', 0)); \
                  print(os.getpid(), flush=True); listener.accept()";
    // On the host's network, so that the process ids are the ones that this test sees.
    let python = tool::python();
    let mut command = flow(&["--host-network", "--", &python, "-c", script]);
    let mut tracer = command.stdout(Stdio::piped()).spawn().expect("start flow");
    let mut out = std::io::BufReader::new(tracer.stdout.take().expect("its output"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).expect("the process id");
    let traced = format!("/proc/{}/stat", line.trim());
    assert!(std::fs::exists(&traced).expect("look for it"));
    tracer.kill().expect("kill flow");
    tracer.wait().expect("wait for flow");
    until("the traced program is gone", || match std::fs::read_to_string(&traced) {
        // A zombie waits for init, or for whoever adopts it here.
        Ok(stat) => stat.rsplit(')').next().is_some_and(|it| it.starts_with(" Z")),
        Err(_) => true,
    });
    Ok(())
}

fn already_traced() -> Result<(), Failed> {
    let trace = tool::scratch("strace.out");
    let mut strace = Command::new("strace")
        .args(["-o", trace.to_str().expect("UTF-8"), "sleep", "1000"])
        .spawn()
        .expect("start strace");
    let children = format!("/proc/{0}/task/{0}/children", strace.id());
    let mut sleep = String::new();
    until("strace traces it", || {
        sleep = std::fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
        let status = std::fs::read_to_string(format!("/proc/{sleep}/status"));
        // strace first tests tracing on a child of its own.
        let tracer = format!("TracerPid:\t{}\n", strace.id());
        status.is_ok_and(|it| it.contains("Name:\tsleep\n") && it.contains(&tracer))
    });
    let run = run(&mut flow(&["--attach", &sleep]));
    // SIGKILL would make strace let its child go on, so end the child first.
    Command::new("kill").args(["-9", &sleep]).status().expect("kill");
    strace.wait().expect("wait for strace");
    assert_eq!(run.status, Some(77), "{}", run.stderr);
    assert!(run.stderr.contains("is already tracing it"), "{}", run.stderr);
    Ok(())
}

fn joins_and_leaves() -> Result<(), Failed> {
    let script = "import os, socket, sys\n\
        listener = socket.create_server(('127.0.0.1', 0))\n\
        print(listener.getsockname()[1], flush=True)\n\
        while True:\n\
        \x20 connection, _ = listener.accept()\n\
        \x20 data = connection.recv(100)\n\
        \x20 connection.sendall(data); connection.close()\n\
        \x20 if data == b'end': break\n";
    let mut server = Command::new(tool::python())
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the server");
    let mut out = std::io::BufReader::new(server.stdout.take().expect("its output"));
    let mut port = String::new();
    std::io::BufRead::read_line(&mut out, &mut port).expect("the port");
    let address = format!("127.0.0.1:{}", port.trim());
    let exchange = |message: &[u8]| {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(&address).expect("connect");
        stream.write_all(message).expect("send");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("receive");
        assert_eq!(reply, message);
    };
    let mut tracer = flow(&["--live", "--attach", &server.id().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start flow");
    let status = format!("/proc/{}/status", server.id());
    let traced = |yes: bool| {
        let status = std::fs::read_to_string(&status).expect("its status");
        status.contains("TracerPid:\t0\n") != yes
    };
    // The kernel names the tracer a moment before that stops the server: what it shows of the
    // call in which the server waits comes after both.
    let watchdog = tool::watchdog(&tracer);
    let mut rows = std::io::BufReader::new(tracer.stdout.take().expect("its output"));
    let mut text = String::new();
    while !text.contains("accept") {
        let length = std::io::BufRead::read_line(&mut rows, &mut text);
        assert!(length.expect("a row") > 0, "it ended before a row came: {text}");
    }
    assert!(traced(true));
    exchange(b"joined");
    Command::new("kill").args(["-INT", &tracer.id().to_string()]).status().expect("kill");
    std::io::Read::read_to_string(&mut rows, &mut text).expect("the other rows");
    drop(watchdog);
    let run = tool::finish(tracer);
    assert!(traced(false));
    exchange(b"end");
    assert!(server.wait().expect("wait for the server").success());
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let received = ["recv(4, 100) = 6 \"joined\"", "recv = 6 \"joined\""];
    assert!(received.iter().any(|it| text.contains(it)), "{text}");
    Ok(())
}

fn joins_for_a_time() -> Result<(), Failed> {
    let script = "import socket\n\
        listener = socket.create_server(('127.0.0.1', 0))\n\
        print(listener.getsockname()[1], flush=True); listener.accept()\n";
    let mut server = Command::new(tool::python())
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the server");
    let mut out = std::io::BufReader::new(server.stdout.take().expect("its output"));
    let mut port = String::new();
    std::io::BufRead::read_line(&mut out, &mut port).expect("the port");
    let run = run(&mut flow(&["--until", "0.3", "--attach", &server.id().to_string()]));
    // It goes on with what it was doing.
    let address = format!("127.0.0.1:{}", port.trim());
    let connected = std::net::TcpStream::connect(&address);
    let ended = testkit::within("the server ends", move || server.wait());
    assert!(connected.is_ok(), "{connected:?}");
    assert!(ended?.success());
    // On a busy machine there may be nothing to draw yet.
    assert!(matches!(run.status, Some(0 | 1)), "{}", run.stderr);
    Ok(())
}

/// At each moment some thread is being started, and some other one ends.
fn joins_threads() -> Result<(), Failed> {
    let script = "import socket, threading\n\
        def work():\n\
        \x20 a, b = socket.socketpair(); a.send(b'x'); b.recv(1); a.close(); b.close()\n\
        def hire():\n\
        \x20 while True: it = threading.Thread(target=work); it.start(); it.join()\n\
        for _ in range(3): threading.Thread(target=hire).start()\n\
        print('at work', flush=True)\n";
    let mut program = Command::new(tool::python())
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the program");
    let mut out = std::io::BufReader::new(program.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut out, &mut String::new()).expect("its line");
    let mut runs = Vec::new();
    for _ in 0..10 {
        let mut tracer = flow(&["--live", "--attach", &program.id().to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start flow");
        // The first row tells that it has joined; it may also end without any.
        let watchdog = tool::watchdog(&tracer);
        let mut rows = std::io::BufReader::new(tracer.stdout.take().expect("its output"));
        std::io::BufRead::read_line(&mut rows, &mut String::new()).expect("a row");
        drop(watchdog);
        let id = tracer.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().expect("kill");
        std::thread::spawn(move || std::io::copy(&mut rows, &mut std::io::sink()));
        runs.push(tool::finish(tracer));
    }
    let alive = program.try_wait().expect("look at the program").is_none();
    program.kill().expect("kill the program");
    program.wait().expect("wait for the program");
    for run in runs {
        assert_eq!(run.status, Some(0), "{}", run.stderr);
    }
    assert!(alive, "it has not outlived the tracer");
    Ok(())
}

fn thirty_two_bit() -> Result<(), Failed> {
    // ELF for i386: exit(3). mov eax, 1; mov ebx, 3; int 0x80.
    let code = [0xb8, 1, 0, 0, 0, 0xbb, 3, 0, 0, 0, 0xcd, 0x80];
    let base = 0x0804_8000_u32;
    let length = 84 + code.len() as u32;
    let mut bytes =
        b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0".to_vec();
    for word in [base + 84, 52, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [1, 0, base, base, length, length, 5, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    let file = tool::scratch("32-bit");
    let image = file.with_extension("image");
    std::fs::write(&image, bytes).expect("write the program");
    testkit::copy_program(&image, &file);
    let run = run(&mut flow(&["--", file.to_str().expect("UTF-8")]));
    if run.status == Some(1) && run.stderr.contains("Exec format error") {
        return Ok(()); // This kernel runs no 32-bit code, and flow says so.
    }
    says(&run, "exits 3")?;
    says(&run, "32-bit code")
}

fn no_such_program() -> Result<(), Failed> {
    for program in ["no-such-program", "./no/such/program"] {
        let run = run(&mut flow(&["--", program]));
        assert_eq!(run.status, Some(1));
        assert!(run.stderr.starts_with("run "), "{}", run.stderr);
        assert!(run.stderr.contains("is it installed"), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1);
    }
    Ok(())
}

fn no_such_process() -> Result<(), Failed> {
    let run = run(&mut flow(&["--attach", "99999999"]));
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("there is no such process"), "{}", run.stderr);
    Ok(())
}

fn wrong_command_line() -> Result<(), Failed> {
    for args in [
        &[][..],
        &["--width", "3", "--", "true"],
        &["--no-such-option"],
        &["--bytes", "1000000000000", "--", "true"],
        &["--rows", "9..3", "--", "true"],
        &["--connection", "0", "--", "true"],
        &["--connection", "first", "--", "true"],
    ] {
        assert_eq!(run(&mut flow(args)).status, Some(2), "{args:?}");
    }
    Ok(())
}

/// Runs flow under a filter of the kernel's calls.
pub(crate) fn under(filter: Filter, args: &[&str]) -> Run {
    let mut flow = flow(args);
    filter.around(&mut flow);
    run(&mut flow)
}

const ECHO: &str = "import socket\n\
    s = socket.create_server(('127.0.0.1', 12345)); c, _ = s.accept()\n\
    c.sendall(c.recv(99))\n";
const CLIENT: &str = "import socket\n\
    c = socket.create_connection(('127.0.0.1', 12345)); c.sendall(b'ping'); c.recv(99)\n";

/// The addresses come from the kernel's tables, and the packets are drawn.
fn sockets_not_borrowed() -> Result<(), Failed> {
    let python = tool::python();
    let args = ["--", &python, "-c", ECHO, "--", &python, "-c", CLIENT];
    let refused = [libc::SYS_pidfd_getfd, libc::SYS_pidfd_open];
    let run = under(Filter::default().refusing(&refused, libc::EPERM), &args);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    says(&run, "accept = 4 from 127.0.0.1:")?;
    if run.stdout.contains("no packets") {
        return Ok(());
    }
    says(&run, "[SYN-SENT]")?;
    says(&run, "4 bytes \"ping\"")
}

/// The data are read word by word.
fn memory_not_read() -> Result<(), Failed> {
    let python = tool::python();
    let args = ["--", &python, "-c", ECHO, "--", &python, "-c", CLIENT];
    let refused = [libc::SYS_process_vm_readv, libc::SYS_process_vm_writev];
    let run = under(Filter::default().refusing(&refused, libc::EPERM), &args);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    says(&run, "bind(3, 127.0.0.1:12345) = 0")?;
    says(&run, "send(3, \"ping\") = 4")
}

/// Before Linux 4.20 the kernel cannot be told to leave out the packets that loopback shows
/// twice. Each is drawn once nevertheless.
fn outgoing_packets_not_ignored() -> Result<(), Failed> {
    let python = tool::python();
    let args = ["--", &python, "-c", ECHO, "--", &python, "-c", CLIENT];
    let with_packets = run(&mut flow(&args));
    if with_packets.stdout.contains("no packets") {
        testkit::skip("outgoing_packets_not_ignored", with_packets.stdout.trim());
        return Ok(());
    }
    const PACKET_IGNORE_OUTGOING: u32 = 23;
    let old =
        Filter::default().refusing_where(libc::SYS_setsockopt, 2, PACKET_IGNORE_OUTGOING);
    let old = under(old, &args);
    assert_eq!(old.status, Some(0), "{}", old.stderr);
    for (packet, times) in [("[SYN-SENT]", 1), ("4 bytes \"ping\"", 2)] {
        for run in [&with_packets, &old] {
            let drawn = run.stdout.matches(packet).count();
            assert_eq!(drawn, times, "{packet}: {}", run.stdout);
        }
    }
    Ok(())
}

/// Without it, nothing can be drawn, and flow says so.
fn calls_not_told() -> Result<(), Failed> {
    let python = tool::python();
    let args = ["--", &python, "-c", ECHO, "--", &python, "-c", CLIENT];
    let request = libc::PTRACE_GET_SYSCALL_INFO;
    let filter = Filter::default().refusing_where(libc::SYS_ptrace, 0, request);
    let run = under(filter, &args);
    assert_eq!(run.status, Some(77), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("PTRACE_GET_SYSCALL_INFO"), "{}", run.stderr);
    Ok(())
}

/// Calls for which the kernel has more than one name, several messages in one call, and
/// what comes along with a message.
fn calls_seldom_seen() -> Result<(), Failed> {
    let script = "import array, os, select, socket\n\
        a, b = socket.socketpair(); a.setblocking(False)\n\
        a.send(b'x')\n\
        null = os.open('/dev/null', os.O_RDWR); os.dup2(null, b.fileno())\n\
        c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        socket.send_fds(c, [b'0123456789'], [null]); print(socket.recv_fds(d, 4, 1)[2])\n\
        c.send(b''); d.recv(9)\n\
        e = select.epoll(); f = select.epoll.fromfd(os.dup(e.fileno()))\n\
        f.register(c.fileno(), select.EPOLLOUT); e.poll(1)\n";
    let run = run(&mut flow(&["--width", "120", "--", &tool::python(), "-c", script]));
    for piece in
        ["O_NONBLOCK|FIONBIO", "dup2|dup3", "SCM_RIGHTS [", "MSG_TRUNC", "epoll_wait("]
    {
        let found = piece.split('|').any(|piece| run.stdout.contains(piece));
        assert!(found, "{piece} in\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("end of stream"), "{}", run.stdout);
    Ok(())
}

/// A number that was a socket's may be a file's after any call that closes it: by the process
/// itself, by a child of which the number is its own, by the program that it becomes.
fn descriptor_is_a_file_now() -> Result<(), Failed> {
    let script = "import os, socket, sys\n\
        def put(fd): os.dup2(sock.fileno(), fd); os.write(fd, b'to the socket\\n')\n\
        sock, end = socket.socketpair(); null = os.open('/dev/null', os.O_RDWR)\n\
        put(50); os.close(50); os.dup2(null, 50); os.write(50, b'after close')\n\
        put(51); os.dup2(null, 51); os.write(51, b'after dup2')\n\
        put(52); os.closerange(52, 53); os.dup2(null, 52); os.write(52, b'after range')\n\
        put(53)\n\
        if os.fork() == 0:\n\
        \x20 os.dup2(null, 53); os.write(53, b'of the child'); os._exit(0)\n\
        os.wait(); os.write(53, b'of the parent')\n\
        os.set_inheritable(53, False); os.dup2(null, 54, True)\n\
        os.execv(sys.executable, [sys.executable, '-c', \n\
        \x20 'import os; os.dup2(54, 53); os.write(53, b\"after exec\")'])\n";
    let run = run(&mut flow(&["--width", "120", "--", &tool::python(), "-c", script]));
    assert_eq!(run.stdout.matches("\"to the socket\\n\")").count(), 4, "{}", run.stdout);
    for piece in
        ["after close", "after dup2", "after range", "of the child", "after exec"]
    {
        assert!(!run.stdout.contains(piece), "{piece} in\n{}", run.stdout);
    }
    says(&run, "of the parent")
}

fn full_disk() -> Result<(), Failed> {
    let script = "import socket; a, b = socket.socketpair(); a.send(b'x'); b.recv(1)";
    let python = tool::python();
    for option in ["--pcap", "--log", "-o"] {
        let run = run(&mut flow(&[option, "/dev/full", "--", &python, "-c", script]));
        if run.status == Some(77) {
            continue; // No packets here, and flow says so.
        }
        assert_eq!(run.status, Some(1), "{option}: {}", run.stderr);
        assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    }
    Ok(())
}

fn names_are_safe() -> Result<(), Failed> {
    let name = "./no\x1b[2Jsuch";
    for args in [&["--", name][..], &["show", name], &["-o", name, "show", name]] {
        let run = run(&mut flow(args));
        assert_eq!(run.status, Some(1), "{args:?}");
        assert!(!run.stderr.contains('\x1b'), "{:?}", run.stderr);
        assert!(run.stderr.contains("\\x1b"), "{:?}", run.stderr);
    }
    Ok(())
}

fn ordinary_user() -> Result<(), Failed> {
    let me = std::fs::read_to_string("/proc/self/status").expect("my status");
    if !me.contains("Uid:\t0\t") {
        return Ok(()); // Then every other test is this test.
    }
    // If others may not read the program or Python, there is nothing to see.
    let script =
        "socket=__import__('socket'); a,b=socket.socketpair(); a.send(b'as nobody')";
    let run = tool::as_nobody(&["--", "/usr/bin/python3", "-c", script]);
    says(&run, "as nobody")
}
