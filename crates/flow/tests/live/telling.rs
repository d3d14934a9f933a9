//! What `flow` reports besides the drawing: totals, rows as they come, arrows without
//! packets.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use flow::draw::{Diagram, Row};
use flow::event::{Event, Log, Return};
use libtest_mimic::{Failed, Trial};

use crate::conversations::{drawn, has_network};
use crate::tool::{self, finish, flow, log, run, says, trial, watchdog};

pub(crate) fn trials() -> Vec<Trial> {
    let python: &[&str] = &["python3"];
    vec![
        trial("sums_as_text_and_as_an_object", python, sums),
        trial("sums_are_no_picture", &[], sums_are_no_picture),
        trial("rows_come_while_the_program_runs", python, rows_come),
        trial("unix_sockets_are_arrows", python, unix_sockets),
        trial("unix_datagrams_are_arrows", python, unix_datagrams),
        trial("fifos_are_arrows", &["python3", "mkfifo"], fifos),
        trial("a_fifo_with_two_readers", &["python3", "mkfifo"], two_readers),
        trial("a_fifo_of_flow_itself", &["python3", "mkfifo"], fifo_of_its_own),
        trial("the_memory_for_a_long_log", &[], memory_of_a_long_log),
        trial("nothing_to_draw_and_a_program_that_failed", python, nothing_to_draw),
        trial("arguments_are_bytes", python, arguments_are_bytes),
        trial("a_daemon_lives_on", python, daemon_lives_on),
    ]
}

const SERVER: &str = "import os, socket\n\
    s = socket.create_server(('127.0.0.1', 12345)); c, _ = s.accept()\n\
    for _ in range(2): c.sendall(b'Echo: ' + c.recv(99))\n\
    c.recv(9); os._exit(0)\n";
const CLIENT: &str = "import socket\n\
    try: socket.socket().connect(('127.0.0.1', 1))\n\
    except ConnectionRefusedError: pass\n\
    c = socket.create_connection(('127.0.0.1', 12345))\n\
    for word in b'one', b'three': c.sendall(word); c.recv(99)\n\
    c.close()\n";

fn sums() -> Result<(), Failed> {
    let python = tool::python();
    let sums = |format: &str| {
        let args =
            ["--quiet", "--summary", "--format", format, "--", &python, "-c", SERVER];
        let run = run(flow(&args).args(["--", &python, "-c", CLIENT]));
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        run.stdout
    };
    let text = sums("text");
    let has =
        |line: &str| text.lines().any(|it| it.split_whitespace().eq(line.split(' ')));
    assert!(text.contains("errors: ECONNREFUSED 1"), "{text}");
    // Its only recv calls: two words, and the end of the stream.
    let received = text.lines().find(|line| line.trim_start().starts_with("recv "));
    let received: Vec<&str> = received.unwrap_or("").split_whitespace().collect();
    assert_eq!(received.get(..5), Some(&["recv", "3", "0", "0", "8"][..]), "{text}");
    if has("none") {
        testkit::skip("sums_as_text_and_as_an_object", "no packets, so no connections");
        return Ok(());
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["8 bytes there, 20 back", "2 round trips", "LISTEN", "CLOSE-WAIT"] {
        assert!(words.contains(part), "{part} in {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&sums("json"))?;
    let connections = json["connections"].as_array().ok_or("a list")?;
    let echo = connections.iter().find(|it| it["round_trips"] == 2).ok_or("the echo")?;
    assert_eq!(echo["bytes"], serde_json::json!([8, 20]));
    assert_eq!(json["programs"][0]["calls"]["accept"]["calls"], 1);
    assert_eq!(json["programs"][1]["calls"]["connect"]["errors"]["ECONNREFUSED"], 1);
    let open = json["never_closed"].as_array().ok_or("a list")?;
    assert!(open.iter().any(|it| it["state"] == "CLOSE-WAIT"), "{json}");
    Ok(())
}

fn sums_are_no_picture() -> Result<(), Failed> {
    for args in [["--summary", "--format", "svg"], ["--live", "--format", "json"]] {
        let run = run(flow(&args).args(["--", "true"]));
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    Ok(())
}

/// In the middle, the program waits for a line, which it gets once its first call is
/// drawn.
fn rows_come() -> Result<(), Failed> {
    let script = "import socket, sys\n\
        s = socket.socket(); s.bind(('127.0.0.1', 12345))\n\
        sys.stdin.readline(); s.listen(7); s.close()\n";
    let mut command = flow(&["--live", "--quiet", "--", &tool::python(), "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut out = BufReader::new(child.stdout.take().ok_or("its output")?);
    // If nothing came, this would wait until the test's own deadline, in `finish`.
    let mut text = String::new();
    while !text.contains("bind(") {
        if out.read_line(&mut text)? == 0 {
            return Err(format!("it ended before a row came: {text}").into());
        }
    }
    assert!(!text.contains("listen("), "{text}");
    child.stdin.take().ok_or("its input")?.write_all(b"\n")?;
    out.read_to_string(&mut text)?;
    assert!(finish(child).status == Some(0), "{text}");
    assert!(
        text.contains("listen(3, 7) = 0 [LISTEN]") && text.contains("exits 0"),
        "{text}"
    );
    Ok(())
}

/// A folder that both programs of a run know, for the names of their sockets.
fn in_folder(script: &str, folder: &tempfile::TempDir) -> String {
    format!("import os, socket\nos.chdir({:?})\n{script}", folder.path())
}

fn unix_sockets() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let server = "s = socket.socket(socket.AF_UNIX); s.bind('name'); s.listen()\n\
        c, _ = s.accept(); c.sendall(b'Echo: ' + c.recv(99))\n";
    let client = "c = socket.socket(socket.AF_UNIX); c.connect('name')\n\
        c.sendall(b'hello'); c.recv(99)\n";
    let (server, client) = (in_folder(server, &folder), in_folder(client, &folder));
    let python = tool::python();
    let text = drawn(&log(&[], &[&[&python, "-c", &server], &[&python, "-c", &client]]));
    let arrow = |what: &str, tip: char| {
        text.lines().any(|line| line.contains(what) && line.contains(tip))
    };
    assert!(arrow("─ connect ─", '▶'), "{text}");
    assert!(arrow("─ 5 bytes \"hello\" ─", '▶'), "{text}");
    assert!(arrow("─ 11 bytes \"Echo: hello\" ─", '◀'), "{text}");
    Ok(())
}

fn unix_datagrams() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let server = "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('name')\n\
        s.recv(99); s.recv(99)\n";
    let client = "c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        c.sendto(b'first', 'name'); c.connect('name'); c.send(b'second')\n\
        try: c.sendto(b'nowhere', 'nobody')\n\
        except OSError: pass\n";
    let (server, client) = (in_folder(server, &folder), in_folder(client, &folder));
    let python = tool::python();
    let text = drawn(&log(&[], &[&[&python, "-c", &server], &[&python, "-c", &client]]));
    assert!(text.contains("─ 5 bytes \"first\" ─"), "{text}");
    assert!(text.contains("─ 6 bytes \"second\" ─"), "{text}");
    assert!(!text.contains("7 bytes"), "{text}");
    Ok(())
}

/// One program opens a FIFO and waits for the other, which writes into it twice and closes it.
fn fifos() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let made = Command::new("mkfifo").arg(folder.path().join("name")).status()?;
    assert!(made.success(), "mkfifo: {made}");
    let reader = "f = os.open('name', os.O_RDONLY)\n\
        while os.read(f, 99): pass\n";
    let writer = "f = os.open('name', os.O_WRONLY)\n\
        os.writev(f, [b'hel', b'lo']); os.close(f)\n";
    let (reader, writer) = (in_folder(reader, &folder), in_folder(writer, &folder));
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", &reader], &[&python, "-c", &writer]]);
    let waited_in_vain = |it: &Event| matches!(it, Event::Note(note) if note.text.contains("starts anyway"));
    assert!(!log.events.iter().any(waited_in_vain));
    let text = drawn(&log);
    let line = |what: &str| {
        let found = text.lines().position(|it| it.contains(what));
        found.unwrap_or_else(|| panic!("{what} in\n{text}"))
    };
    let sent = line("─ 5 bytes \"hello\" ─");
    assert!(sent < line("= 5 \"hello\""), "{text}");
    assert!(sent < line("= 0 end of stream"), "{text}");
    Ok(())
}

/// Two programs read from one FIFO. Which of them gets what is up to the kernel; the arrows say
/// what their reads do.
fn two_readers() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let made = Command::new("mkfifo").arg(folder.path().join("name")).status()?;
    assert!(made.success(), "mkfifo: {made}");
    let reader = "f = os.open('name', os.O_RDONLY)\n\
        while os.read(f, 5): pass\n";
    let writer = "f = os.open('name', os.O_WRONLY)\n\
        for n in range(6): os.write(f, b'line%d' % n)\n";
    let (reader, writer) = (in_folder(reader, &folder), in_folder(writer, &folder));
    let python = tool::python();
    let read: [&str; 3] = [&python, "-c", &reader];
    let log = log(&[], &[&read, &read, &[&python, "-c", &writer]]);
    let diagram = Diagram::new(&log, &flow::draw::Options::default());
    let mut reads = BTreeMap::new();
    let mut sides = HashMap::new();
    for event in &log.events {
        match event {
            Event::Call(call) if call.name == "read" => {
                sides.insert(call.id, call.side);
            }
            Event::Return(Return { id, data: Some(data), .. }) if data.length > 0 => {
                if let Some(side) = sides.get(id) {
                    let text = String::from_utf8_lossy(&data.bytes).into_owned();
                    reads.insert(text, *side);
                }
            }
            _ => {}
        }
    }
    assert_eq!(reads.len(), 6, "{}", drawn(&log));
    // The first side has the last column.
    let side = |column: usize| (column + 1) % 3;
    let arrows = diagram.rows.iter().filter_map(|row| match row {
        Row::Packet(arrow) => {
            Some((arrow.label.split('"').nth(1)?.to_owned(), side(arrow.to)))
        }
        _ => None,
    });
    assert_eq!(arrows.collect::<BTreeMap<_, _>>(), reads, "{}", drawn(&log));
    Ok(())
}

/// What the programs read and write besides is not between them: a FIFO that they have got
/// from `flow`.
fn fifo_of_its_own() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("name");
    let made = Command::new("mkfifo").arg(&fifo).status()?;
    assert!(made.success(), "mkfifo: {made}");
    // Open for both, so that nobody waits.
    let both = std::fs::File::options().read(true).write(true).open(&fifo)?;
    let script = "import os, socket; os.write(2, b'printed'); socket.socketpair()";
    let mut command = flow(&["--", &tool::python(), "-c", script]);
    let child = command.stdout(Stdio::piped()).stderr(both).spawn()?;
    let run = finish(child);
    says(&run, "socketpair")?;
    assert!(!run.stdout.contains("write("), "{}", run.stdout);
    Ok(())
}

/// The most memory, in KiB, that `flow show` has used when it has read this log, or, if the
/// log ends, when it has drawn it.
fn most_memory(options: &[&str], log: &[u8], ends: bool) -> u64 {
    let mut command = flow(options);
    command.args(["show", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("start flow");
    let _watchdog = watchdog(&child);
    let mut input = child.stdin.take().expect("a pipe");
    // What it has not read yet fits into the pipe.
    input.write_all(log).expect("write the log");
    let mut output = child.stdout.take().expect("a pipe");
    // If it ends, it is closed here.
    let input = (!ends).then_some(input);
    if ends {
        // The drawing is longer than what fits into the pipe: nobody reads, and it waits.
        output.read_exact(&mut [0]).expect("the first byte");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    drop(input);
    output.read_to_end(&mut Vec::new()).expect("read the rest");
    assert!(child.wait().expect("wait for flow").success());
    let status = status.expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok()).expect("VmHWM")
}

/// A drawing takes memory in proportion to its log, and the totals take the same for any log.
fn memory_of_a_long_log() -> Result<(), Failed> {
    const SHORT: u32 = 5_000;
    let (short, long) = (log_of(SHORT), log_of(4 * SHORT));
    for options in [&[][..], &["--format", "svg"]] {
        let (one, four) =
            (most_memory(options, &short, true), most_memory(options, &long, true));
        let each = four.saturating_sub(one) * 1024 / u64::from(3 * SHORT);
        assert!(
            each < 2048,
            "{options:?}: {each} bytes for each packet: {one} and {four} KiB"
        );
    }
    let options = ["--summary"];
    let (one, four) =
        (most_memory(&options, &short, false), most_memory(&options, &long, false));
    assert!(four < one + 1024, "the totals: {one} KiB and {four} KiB");
    Ok(())
}

/// A log of so many segments between two programs.
fn log_of(packets: u32) -> Vec<u8> {
    use flow::event::{Data, Flags, Header, Packet, Protocol, Side, Socket};
    let side = |side, name: &str| Side {
        time_ns: 0,
        side,
        name: name.to_owned(),
        command: vec![name.to_owned()],
        host: None,
    };
    let (server, client) = ("127.0.0.1:12345".to_owned(), "127.0.0.1:40000".to_owned());
    let socket = |side, local: &String, peer: &String| Socket {
        time_ns: 0,
        side,
        inode: 1 + side as u64,
        family: "AF_INET".to_owned(),
        kind: "SOCK_STREAM".to_owned(),
        local: Some(local.clone()),
        peer: Some(peer.clone()),
    };
    let packet = |number: u32| Packet {
        time_ns: u64::from(number),
        from: client.clone(),
        to: server.clone(),
        protocol: Protocol::Tcp {
            flags: Flags::from("ACK".to_owned()),
            seq: number,
            ack: 1,
            window: 512,
            scale: None,
            mss: None,
            sack: Vec::new(),
        },
        data: Data { bytes: vec![b'x'; 64], length: 64 },
        wire: None,
    };
    let mut events = vec![Event::Side(side(0, "server")), Event::Side(side(1, "client"))];
    events.push(Event::Socket(socket(0, &server, &client)));
    events.push(Event::Socket(socket(1, &client, &server)));
    events.extend((0..packets).map(|number| Event::Packet(packet(number))));
    let log = Log { header: Header::default(), events };
    let mut written = Vec::new();
    flow::json::write(&mut written, &log).expect("write into memory");
    written
}

fn nothing_to_draw() -> Result<(), Failed> {
    let python = tool::python();
    let ran = run(&mut flow(&["--", &python, "no-such-file.py", "--", "true"]));
    assert_eq!(ran.status, Some(1), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("it exited with status 2 before making a socket call"),
        "{}",
        ran.stderr
    );
    // A program that fails later has been drawn.
    let script = "import socket, sys; socket.socket(); sys.exit(3)";
    let ran = run(&mut flow(&["--", &python, "-c", script]));
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    Ok(())
}

fn arguments_are_bytes() -> Result<(), Failed> {
    use std::os::unix::ffi::OsStrExt as _;
    let script = "import os, sys, socket; socket.socket()\n\
        print(os.fsencode(sys.argv[1]))\n";
    let odd = std::ffi::OsStr::from_bytes(b"a\xff\x1b[31m");
    let ran = run(flow(&["--", &tool::python(), "-c", script]).arg(odd));
    assert!(ran.stdout.contains("b'a\\xff\\x1b[31m'"), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'), "{:?}", ran.stdout);
    Ok(())
}

/// Its first process ends and a child goes on, and so does the lifeline.
fn daemon_lives_on() -> Result<(), Failed> {
    let server = "import os, socket\n\
        s = socket.create_server(('127.0.0.1', 12345))\n\
        if os.fork(): os._exit(0)\n\
        c, _ = s.accept(); c.close(); os._exit(4)\n";
    let client = "import socket\n\
        c = socket.create_connection(('127.0.0.1', 12345)); c.recv(9); c.close()\n";
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", server], &[&python, "-c", client]]);
    if !has_network(&log) {
        return Ok(());
    }
    let text = drawn(&log);
    for row in ["│ forks (2)", "│ exits 0", "(2) accept(3)", "╵ (2) exits 4"] {
        assert!(text.contains(row), "{row} in\n{text}");
    }
    Ok(())
}
