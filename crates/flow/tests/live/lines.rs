//! Beside each call is the line of the program's own source that made it, whatever the
//! language, and not a line of its library.

use std::path::Path;
use std::process::Command;

use flow::event::Event;
use libtest_mimic::{Failed, Trial};

use crate::conversations::drawn;
use crate::tool::{self, log, run, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("lines_of_c", &["cc"], || lines_of_c(&["-O0"])),
        trial("lines_of_optimized_c", &["cc"], || lines_of_c(&["-O2"])),
        trial("lines_of_static_c", &["cc"], || lines_of_c(&["-O2", "-static"])),
        trial("lines_of_rust", &["rustc"], lines_of_rust),
        trial("lines_of_go", &["go"], || lines_of_go(&[])),
        trial("lines_of_go_with_short_paths", &["go"], || lines_of_go(&["-trimpath"])),
        trial("lines_of_python", &["python3"], lines_of_python),
        trial("node_has_no_lines", &["node"], node),
    ]
}

/// Runs a program, and looks for the lines of these calls in its log and its drawing.
fn check(command: &[&str], file: &str, expected: &[(&str, u32)]) -> Result<(), Failed> {
    let log = log(&["--quiet"], &[command]);
    let text = drawn(&log);
    for (name, line) in expected {
        let source = log.events.iter().find_map(|event| match event {
            Event::Call(call) if call.name == *name => Some(call.source.as_ref()),
            _ => None,
        });
        let source = source.flatten().map(|it| {
            (it.file.rsplit('/').next().unwrap_or_default().to_owned(), it.line)
        });
        assert_eq!(source, Some((file.to_owned(), *line)), "{name}\n{text}");
    }
    // The column has the name of the file once, and the rows have the lines.
    let row = |line: u32| text.lines().any(|it| it.contains(&format!(":{line}")));
    assert!(expected.iter().all(|(_, line)| row(*line)), "{text}");
    Ok(())
}

/// Writes a source file into a folder of its own, compiles it, and looks for the lines.
fn compiled(
    name: &str,
    source: &str,
    compile: impl Fn(&Path, &Path) -> Command,
    expected: &[(&str, u32)],
) -> Result<(), Failed> {
    let file = tool::scratch(name);
    std::fs::write(&file, source)?;
    let program = file.with_file_name("program");
    let built = run(&mut compile(&file, &program));
    assert_eq!(built.status, Some(0), "{}", built.stderr);
    check(&[program.to_str().expect("UTF-8")], name, expected)
}

/// The calls go through a function that may be inlined.
const C: &str = r#"#include <sys/socket.h>
#include <unistd.h>

static void say(int s) {
  send(s, "hi", 2, 0);
}

int main(void) {
  int s[2];
  char b[9];
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  say(s[0]);
  return read(s[1], b, 9) != 2;
}
"#;

fn lines_of_c(options: &[&str]) -> Result<(), Failed> {
    let compile = |source: &Path, program: &Path| {
        let mut cc = Command::new("cc");
        cc.arg("-g").args(options).arg(source).arg("-o").arg(program);
        cc
    };
    compiled("hello.c", C, compile, &[("socketpair", 11), ("sendto", 5), ("read", 13)])
}

const RUST: &str = r#"use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut connection, _) = listener.accept()?;
    client
        .write_all(b"hi")?;
    connection.read_exact(&mut [0; 2])
}
"#;

fn lines_of_rust() -> Result<(), Failed> {
    let compile = |source: &Path, program: &Path| {
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2021", "-g"]).arg(source).arg("-o").arg(program);
        rustc
    };
    let expected =
        [("bind", 5), ("connect", 6), ("accept4", 7), ("sendto", 9), ("recvfrom", 10)];
    compiled("hello.rs", RUST, compile, &expected)
}

/// The calls are made deep in Go's library, by goroutines whose stacks the kernel does
/// not know about.
const GO: &str = r#"package main

import "net"

func serve(listener net.Listener, done chan bool) {
	connection, _ := listener.Accept()
	connection.Write([]byte("hi"))
	done <- true
}

func main() {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	done := make(chan bool)
	go serve(listener, done)
	client, _ := net.Dial("tcp4", listener.Addr().String())
	client.Read(make([]byte, 9))
	<-done
}
"#;

fn lines_of_go(options: &[&str]) -> Result<(), Failed> {
    let compile = |source: &Path, program: &Path| {
        let mut go = tool::go();
        go.arg("build").args(options).arg("-o").arg(program).arg(source);
        go
    };
    let expected =
        [("listen", 12), ("connect", 18), ("accept4", 6), ("write", 7), ("read", 19)];
    compiled("hello.go", GO, compile, &expected)
}

fn lines_of_python() -> Result<(), Failed> {
    let script = "import socket\n\n\
        def say(s):\n\
        \x20   s.send(b'hi')\n\n\
        a, b = socket.socketpair()\n\
        say(a)\n\
        b.recv(\n\
        \x20   9)\n";
    let file = tool::scratch("hello.py");
    std::fs::write(&file, script)?;
    let python = tool::python();
    let words = [python.as_str(), file.to_str().expect("UTF-8")];
    check(&words, "hello.py", &[("socketpair", 6), ("sendto", 4), ("recvfrom", 8)])
}

/// Better none than lines of the runtime, which is written in another language.
fn node() -> Result<(), Failed> {
    let script = "const s = require('net').createServer().listen(0, '127.0.0.1', \
        () => s.close())";
    let node = tool::find("node").expect("node");
    let log = log(&["--quiet"], &[&[node.to_str().expect("UTF-8"), "-e", script]]);
    let mut sources = log.events.iter().filter_map(|event| match event {
        Event::Call(call) => Some(&call.source),
        _ => None,
    });
    assert!(sources.clone().next().is_some(), "{}", drawn(&log));
    assert!(sources.all(Option::is_none), "{}", drawn(&log));
    Ok(())
}
