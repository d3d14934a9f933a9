//! The servers, and how each is started.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Case, Options};
use crate::{Error, build, workspace};

/// How to tell that a server is listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It prints `Server is listening on port 12345...`.
    Line,
    /// It is given a port, and accepts a connection there.
    Connects,
}

/// A server, and how it is started.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// `PORT` stands for the port.
    pub(super) arguments: Vec<OsString>,
    pub(super) readiness: Readiness,
    /// The maximum number of clients that it serves at the same time.
    pub(super) clients: usize,
    pub(super) udp: bool,
    /// Whether it is a peer, and not one of the lessons' servers.
    pub(super) peer: bool,
    /// Whether its children do the work, so that their processor time is not known.
    pub(super) forks: bool,
    /// Whether it is the second run of another server.
    pub(super) control: bool,
}

/// The server that runs twice, so that its difference from itself shows the noise.
pub(super) const LAST_RUNG: &str = "tcp-server-fast";

impl Server {
    pub(super) fn can(&self, case: &Case) -> bool {
        self.udp == case.udp && self.clients >= case.clients
    }

    /// Returns whether the memory of an idle connection is measured.
    pub(super) fn has_memory(&self) -> bool {
        !self.udp && !self.control && self.clients > 1000
    }

    /// Returns whether strace(1) can count its system calls.
    pub(super) fn has_calls(&self) -> bool {
        !self.udp && !self.control && self.clients >= 50 && !self.forks
    }

    fn ours(folder: &Path, name: &str, clients: usize) -> Self {
        Self {
            name: name.into(),
            program: folder.join(name),
            arguments: ["--port", "PORT"].map(Into::into).into(),
            readiness: Readiness::Line,
            clients,
            udp: name.starts_with("udp-"),
            peer: false,
            forks: false,
            control: false,
        }
    }

    fn peer(name: &str, program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            readiness: Readiness::Connects,
            clients: 100_000,
            udp: false,
            peer: true,
            forks: false,
            control: false,
        }
    }
}

/// Builds the servers. Also returns which peers are not available here, and why.
///
/// # Errors
/// Fails if the lessons' programs do not build.
pub(super) fn prepare(
    options: &Options,
    folder: &Path,
) -> Result<(Vec<Server>, Vec<String>), Error> {
    let root = workspace::root();
    let packages = ["one-at-a-time", "readiness", "completion", "measuring"];
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release"]).current_dir(&root);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    let status = build::status(&mut cargo).map_err(Error::io("cargo build --release"))?;
    if !status.success() {
        return Err(Error::new(format!("cargo build --release: {status}")));
    }
    let release = root.join("target/release");
    let rung = |name: &str, clients| Server::ours(&release, name, clients);
    let mut servers = vec![
        rung("tcp-server-one-at-a-time", 1),
        rung("tcp-server-threads", 5000),
        rung("tcp-server-pool", 4),
        rung("tcp-server-poll", 100_000),
        rung("tcp-server-epoll", 100_000),
        rung("tcp-server-epoll-edge", 100_000),
        rung("tcp-server-future", 100_000),
        rung("tcp-server-tokio", 100_000),
        rung("tcp-server-io-uring", 100_000),
        rung(LAST_RUNG, 100_000),
    ];
    let again = Server {
        name: format!("{LAST_RUNG} again"),
        control: true,
        ..rung(LAST_RUNG, 100_000)
    };
    servers.push(again);
    if !options.quick {
        servers.push(rung("udp-server-one-at-a-time", 100_000));
        servers.push(rung("udp-server-mmsg", 100_000));
        servers.push(Server {
            name: "udp-server-mmsg again".into(),
            control: true,
            ..rung("udp-server-mmsg", 100_000)
        });
        servers.push(rung("udp-server-io-uring", 100_000));
    }
    let mut absent = Vec::new();
    if options.peers {
        let message = b"building the peers; the first time that takes some minutes\n";
        let _ = io::stderr().write_all(message);
        for (name, made) in peers(folder) {
            match made {
                Ok(peer) => servers.push(peer),
                Err(why) => absent.push(format!("{name}: {why}")),
            }
        }
    }
    let wanted = |server: &Server| {
        let words = &options.only;
        words.is_empty() || words.iter().any(|word| server.name.contains(word.as_str()))
    };
    servers.retain(wanted);
    Ok((servers, absent))
}

type Made = Result<Server, String>;

/// Builds the peers.
fn peers(folder: &Path) -> Vec<(&'static str, Made)> {
    let source = |name: &str| workspace::root().join("xtask/src/bench/peers").join(name);
    let text = |name: &str| source(name).to_string_lossy().into_owned();
    let c = |name: &str, peer: &str, extra: &[&str]| -> Made {
        let mut gcc = Command::new("cc");
        gcc.arg("-O2").arg(source(&format!("{name}.c")));
        let program = folder.join(format!("peer-{name}"));
        gcc.arg("-o").arg(&program).args(extra);
        run(&mut gcc)?;
        Ok(Server::peer(peer, program, &["PORT"]))
    };
    let python = |peer: &str, module: &str| -> Made {
        let python = python()?;
        let import = format!("import {module}");
        run(Command::new(&python).args(["-c", &import]))
            .map_err(|_| format!("Python has no {module}"))?;
        let script = text("asyncio_echo.py");
        Ok(Server::peer(peer, python, &[&script, "PORT", module]))
    };
    let here = |program: &str| -> Result<(), String> {
        run(Command::new("sh").args(["-c", "command -v \"$0\"", program]))
            .map_err(|_| "not installed".into())
    };
    let forking = |peer: &str, arguments: &[&str]| -> Made {
        here(peer)?;
        // It has a process for each client, so give it only a few.
        Ok(Server { forks: true, clients: 50, ..Server::peer(peer, peer, arguments) })
    };
    let go = here("go").and_then(|()| {
        let program = folder.join("peer-go");
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-o"]).arg(&program).arg(source("echo.go"));
        run(&mut go)?;
        Ok(Server::peer("Go", program, &["PORT"]))
    });
    let asio = {
        let program = folder.join("peer-asio");
        let mut compiler = Command::new("c++");
        compiler.args(["-O2", "-std=c++17", "-pthread"]).arg(source("asio.cpp"));
        compiler.arg("-o").arg(&program);
        run(&mut compiler).map(|()| Server::peer("C++, Asio", program, &["PORT"]))
    };
    let mmsg = c("mmsg", "C, recvmmsg", &[]).map(|peer| Server {
        udp: true,
        readiness: Readiness::Line,
        ..peer
    });
    let rust = |feature: &str, peer: &str| -> Made {
        let built = folder.join("peers");
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--release", "--features", feature]);
        cargo.args(["--bin", feature, "--manifest-path"]);
        cargo.arg(source("rust/Cargo.toml")).arg("--target-dir").arg(&built);
        run(&mut cargo)?;
        Ok(Server::peer(peer, built.join("release").join(feature), &["PORT"]))
    };
    vec![
        ("C, epoll", c("epoll", "C, epoll", &[])),
        ("libuv", c("libuv", "libuv", &["-luv"])),
        ("C++, Asio", asio),
        ("Rust, mio", rust("mio", "Rust, mio")),
        ("Rust, monoio", rust("monoio", "Rust, monoio")),
        ("Rust, glommio", rust("glommio", "Rust, glommio")),
        ("C, recvmmsg", mmsg),
        ("Go", go),
        (
            "Node.js",
            here("node").map(|()| {
                Server::peer("Node.js", "node", &[&text("node_echo.js"), "PORT"])
            }),
        ),
        ("Python, asyncio", python("Python, asyncio", "asyncio")),
        ("Python, uvloop", python("Python, uvloop", "uvloop")),
        (
            "socat",
            forking(
                "socat",
                &[
                    "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork,backlog=1024,nodelay",
                    "PIPE",
                ],
            ),
        ),
        (
            "ncat",
            forking("ncat", &["-l", "-k", "127.0.0.1", "PORT", "--exec", "/bin/cat"]),
        ),
    ]
}

/// Returns the path of the interpreter itself: a version manager's shim would be measured
/// too.
fn python() -> Result<PathBuf, String> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .stderr(Stdio::null())
        .output()
        .map_err(|_| "no python3".to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = build::output(command.stdin(Stdio::null()));
    let output = output.map_err(|_| format!("{name} is not installed"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("error")).unwrap_or("");
    Err(format!("{name} fails: {}", file_name_alone(line)))
}

/// Removes the names of this machine's folders from a message.
fn file_name_alone(line: &str) -> &str {
    line.rsplit('/').next().unwrap_or(line)
}
