//! What others wrote never reaches a terminal, a picture or a report as they wrote it: a hostile
//! text goes in by every way that there is, and no form that comes out has a character that a
//! terminal would obey or nobody sees. XML and JSON stay what they are.
//!
//! Recordings and pages are fed to the forms by `fuzz.rs`, by the tests of `flow` and of `book`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Controls of both kinds, changes of direction, what ends a section, an attribute or a test
/// line elsewhere.
const HOSTILE: &str =
    "\u{1b}[2J\u{9b}31m\u{202e}\u{61c}\u{200b}]]>--><b>\"'&#; # skip\r\u{7}\u{feff}";

/// A program that serves, and is hostile in all that it does; its argument is hostile, too.
const SERVER: &str = r#"
import ctypes, os, signal, socket, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.excepthook = lambda *error: None
text = os.environb[b'HOSTILE']
raw = text + b'\xff\0' + text
ctypes.CDLL(None).prctl(15, text[:14] + b'\xff')
if len(sys.argv) > 2:
    os.write(1, raw + b'\n'); os.write(2, raw + b'\n')
    os.write(1, b'x' * 1000000 + text + b'\n')
a, b = socket.socketpair()
a.send(raw); b.recv(1000)
u = socket.socket(socket.AF_UNIX); u.bind(b'\0' + raw[:60]); u.listen()
v = socket.socket(socket.AF_UNIX); v.connect(b'\0' + raw[:60])
p = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try: p.bind(text[:50])
except OSError: pass
try: socket.socket(socket.AF_UNIX).connect(b'/nonexistent/' + text[:50])
except OSError: pass
if os.fork() == 0:
    try: os.execv(b'/nonexistent/' + text, [text])
    except OSError: os._exit(3)
os.wait()
s = socket.create_server(('127.0.0.1', int(os.environ.get('PORT', 12345))))
while True:
    c, _ = s.accept()
    try:
        c.recv(1000); c.sendall(raw); c.close()
    except OSError: pass
    if len(sys.argv) <= 2: break
"#;

/// What asks it.
const CLIENT: &str = "import socket\n\
    c = socket.create_connection(('127.0.0.1', 12345)); c.sendall(b'x')\n\
    while c.recv(1000): pass\n";

/// What a way's output is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Text,
    Xml,
    /// One value.
    Json,
    /// A value on each line.
    JsonLines,
}

/// A folder with a hostile name and the server in it, whose name is hostile too.
struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let stage = Stage { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(stage.place()).unwrap();
        fs::write(stage.server(), SERVER).unwrap();
        stage
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join(HOSTILE.replace('/', ""))
    }

    fn server(&self) -> PathBuf {
        self.place().join(OsStr::from_bytes(b"\x1b[2J\xe2\x80\xae\xff.py"))
    }

    fn command(&self, program: &str) -> Option<Command> {
        let program = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(program);
        if !program.is_file() {
            skip(&format!("{} is not built: cargo build --workspace", program.display()));
            return None;
        }
        let mut command = Command::new(program);
        command
            .current_dir(self.place())
            .env("HOSTILE", HOSTILE)
            .env(HOSTILE.replace('=', ""), HOSTILE)
            .env("CHECK_MY", "/dev/null/my")
            .env("CI", "true")
            .stdin(Stdio::null());
        Some(command)
    }
}

/// Every form in which flow shows a run and its recording.
#[test]
fn what_is_traced() {
    let stage = Stage::new();
    let log = stage.place().join("run.json");
    let Some(python) = python() else { return skip("no python3 here") };
    let pair = |flow: &mut Command| {
        flow.args(["--", &python]).arg(stage.server()).arg(HOSTILE);
        flow.args(["--", &python, "-c", CLIENT, HOSTILE]);
    };
    for (options, form) in [
        (&[][..], Form::Text),
        (&["--detail", "--exact", "--time"], Form::Text),
        (&["--live"], Form::Text),
        (&["--summary"], Form::Text),
        (&["--summary", "--format", "json"], Form::Json),
        (&["--format", "svg"], Form::Xml),
        (&["--format", "html"], Form::Text),
        (&["--format", "json"], Form::JsonLines),
        (&["--name", HOSTILE, "--process", HOSTILE], Form::Text),
        (&["--wait-line", HOSTILE, "--until", "0.2"], Form::Text),
    ] {
        let Some(mut flow) = stage.command("flow") else { return };
        flow.args(options);
        if options.is_empty() {
            flow.arg("--log").arg(&log);
        }
        pair(&mut flow);
        let output = flow.output().unwrap();
        if output.status.code() == Some(77) {
            return skip(&String::from_utf8_lossy(&output.stderr));
        }
        is_safe(&format!("flow {options:?}"), &output, form);
        if options == ["--format", "json"] {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("]]>"), "the hostile text went in: {said}");
        }
    }
    for (options, form) in [
        (&[][..], Form::Text),
        (&["--summary"], Form::Text),
        (&["--summary", "--format", "json"], Form::Json),
        (&["--format", "svg"], Form::Xml),
        (&["--format", "html"], Form::Text),
    ] {
        let Some(mut flow) = stage.command("flow") else { return };
        let output = flow.args(options).arg("show").arg(&log).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        is_safe(&format!("flow show {options:?}"), &output, form);
    }
}

/// Every form of a report on a program that is hostile in what it prints and sends.
#[test]
fn what_is_checked() {
    let stage = Stage::new();
    let batch = stage.place().join("batch");
    fs::create_dir_all(
        batch.join(OsStr::from_bytes(b"one\x1b[2J\xff\xe2\x80\xae]]>&\"")),
    )
    .unwrap();
    let each = batch.to_str().unwrap().to_owned();
    let forms = [
        ("human", Form::Text),
        ("json", Form::Json),
        ("junit", Form::Xml),
        ("tap", Form::Text),
        ("exercism", Form::Json),
    ];
    let one = forms.map(|(name, form)| (vec!["--all", "--hint", "--format", name], form));
    let batches = [
        ("human", Form::Text),
        ("json", Form::Json),
        ("csv", Form::Text),
        ("junit", Form::Xml),
    ]
    .map(|(name, form)| (vec!["--format", name, "--batch", &each], form));
    for (options, form) in one.into_iter().chain(batches) {
        let Some(mut check) = stage.command("check") else { return };
        check.args(["tcp-echo", "--only", "2", "--env", "HOSTILE"]).args(&options);
        let Some(python) = python() else { return skip("no python3 here") };
        check.args(["--"]).arg(python).arg(stage.server()).args([HOSTILE, "loud"]);
        let output = check.output().unwrap();
        let context = format!("check {options:?}");
        // 2 would be a wrong command line, and no report.
        assert_ne!(output.status.code(), Some(2), "{context}: {output:?}");
        is_safe(&context, &output, form);
    }
}

/// The words of a command line, and what they name.
#[test]
fn what_is_asked_for() {
    let stage = Stage::new();
    let cases: &[(&str, &[&str])] = &[
        ("xtask", &["demo", HOSTILE]),
        ("xtask", &["demo", "tcp-echo/\u{1b}[2J\u{202e}"]),
        ("xtask", &["flow", HOSTILE]),
        ("xtask", &["wire", HOSTILE]),
        ("xtask", &["wire", "--rule", HOSTILE, "--", "true"]),
        ("maintain", &["update", HOSTILE]),
        ("maintain", &["new-lesson", HOSTILE]),
        ("xtask", &["book", "--out", "/dev/null/\u{1b}[2J\u{202e}"]),
        ("xtask", &["bench", HOSTILE]),
        ("bench", &[HOSTILE]),
        ("flow", &["--", HOSTILE]),
        ("flow", &["--attach", HOSTILE]),
        ("flow", &["-o", HOSTILE, "--", "/nonexistent/\u{202e}"]),
        ("flow", &["-C", HOSTILE, "--", "true"]),
        ("flow", &["--log", "/nonexistent/\u{1b}\u{202e}", "--", "true"]),
        ("flow", &["--pcap", "/nonexistent/\u{1b}\u{202e}", "--", "true"]),
        ("flow", &["--call", HOSTILE, "--", "true"]),
        ("flow", &["--process", HOSTILE, "--", "true"]),
        ("flow", &["--wire", HOSTILE, "--", "true"]),
        ("flow", &["--rule", HOSTILE, "--", "true"]),
        ("flow", &["show", HOSTILE]),
        ("check", &[HOSTILE, "--", "true"]),
        ("check", &["tcp-echo", "--only", HOSTILE, "--", "true"]),
        ("check", &["tcp-echo", "--only", "2", "--", HOSTILE]),
        ("check", &["tcp-echo", "--only", "2", "--", "sh", "-c", "exit 3", HOSTILE]),
        ("check", &["tcp-echo", "--batch", HOSTILE, "--", "true"]),
        ("check", &["tcp-echo", "--resume", HOSTILE, "--batch", ".", "--", "true"]),
        ("check", &["tcp-echo", "--env", HOSTILE, "--", "true"]),
        ("check", &["start", HOSTILE]),
        ("check", &["solution", HOSTILE]),
        ("check", &["next", HOSTILE]),
        ("book", &["--root", HOSTILE, "--out", "out"]),
        ("book", &[HOSTILE]),
        ("tcp-client", &["--host", HOSTILE]),
    ];
    for (program, words) in cases {
        let Some(mut command) = stage.command(program) else { continue };
        let output = command.args(*words).output().unwrap();
        is_safe(&format!("{program} {words:?}"), &output, Form::Text);
    }
}

/// A page that is run: the folder of its lesson, what its programs print, what they leave
/// behind; and a page that is wrong.
#[test]
fn what_is_on_a_page() {
    let leaves = "$ sh -c './*it 1000 >/dev/null 2>&1 & echo left'\nleft\n";
    let prints = "$ printenv HOSTILE\nx\n";
    for (folder, page) in [
        ("01-one", format!("```console one\n{leaves}```\n")),
        ("01-one\u{1b}[2J\u{202e}", format!("```console one\n{leaves}```\n")),
    ]
    .into_iter()
    .chain(
        [
            format!("```console one\n{prints}```\n"),
            format!("```console {HOSTILE}\n$ true\n```\n"),
            format!("```console one\n$ {HOSTILE}\n```\n"),
            format!("```{HOSTILE}\nx\n```\n[a]({HOSTILE})\n"),
            format!("```flow {HOSTILE}\n```\n"),
            format!("```rust {HOSTILE}\n```\n<!-- figures from {HOSTILE}: 1 -->\n"),
        ]
        .map(|page| ("01-one", page)),
    ) {
        let stage = Stage::new();
        let lesson = stage.place().join("lessons").join(folder);
        fs::create_dir_all(&lesson).unwrap();
        fs::create_dir_all(stage.place().join("xtask")).unwrap();
        fs::write(lesson.join("README.md"), &page).unwrap();
        let leaver = OsStr::from_bytes(b"\x1b[2J\xe2\x80\xae\xffit");
        testkit::copy_program("/bin/sleep", lesson.join(leaver));
        let all = [
            ("xtask", &["demo", "1"][..]),
            ("maintain", &["tidy"]),
            ("xtask", &["demo", "--all"]),
            ("xtask", &["demo", "--all", "--scenes", "--host-network"]),
            ("maintain", &["update"]),
        ];
        // What no page can be read from is told in one way.
        let runs = page.contains("left") || page.contains("printenv");
        for (program, words) in &all[..if runs { all.len() } else { 2 }] {
            let Some(mut command) = stage.command(program) else { continue };
            command.env("CARGO_MANIFEST_DIR", stage.place().join("xtask"));
            command.env_remove("CI");
            let output = command.args(*words).output().unwrap();
            is_safe(&format!("{words:?} of {page:?}"), &output, Form::Text);
        }
    }
}

/// Nothing of it is obeyed or hidden, and the form is kept.
fn is_safe(context: &str, output: &Output, form: Form) {
    for (stream, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let text = String::from_utf8(bytes.clone());
        let text = text.unwrap_or_else(|error| panic!("{context}: {stream}: {error}"));
        let bad = text.char_indices().find(|(_, letter)| {
            !matches!(letter, '\n' | '\t') && common::is_hidden(*letter)
        });
        if let Some((at, letter)) = bad {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let around: String = text[line..].chars().take(300).collect();
            panic!("{context}: {stream} has {letter:?} in {around:?}");
        }
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let json = |text: &str| {
        let value: Result<serde_json::Value, _> = serde_json::from_str(text);
        value.unwrap_or_else(|error| panic!("{context}: {error}: {text}"));
    };
    match form {
        Form::Text => {}
        Form::Json => json(&text),
        Form::JsonLines => text.lines().for_each(json),
        Form::Xml => {
            let mut reader = quick_xml::Reader::from_str(&text);
            loop {
                match reader.read_event() {
                    Ok(quick_xml::events::Event::Eof) => break,
                    Ok(_) => {}
                    Err(error) => panic!("{context}: {error}: {text}"),
                }
            }
        }
    }
}

/// Python itself, not a script that looks for it.
fn python() -> Option<String> {
    let mut asked = Command::new("python3");
    let output = asked.args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
