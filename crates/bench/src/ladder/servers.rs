//! The servers, and how each is started.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Case, Options};
use xtask::{Error, build, workspace};

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
/// Fails if a word of `--only` is in no server's name, if the lessons' programs do not
/// build, or if no server is left.
pub(super) fn prepare(
    options: &Options,
    folder: &Path,
) -> Result<(Vec<Server>, Vec<String>), Error> {
    let root = workspace::root();
    let mut servers = rungs(options, &root.join("target/release"));
    let peers = if options.peers { peers(folder) } else { Vec::new() };
    let peers_names = peers.iter().map(|(name, _)| *name);
    let names: Vec<&str> =
        servers.iter().map(|one| one.name.as_str()).chain(peers_names).collect();
    if let Some(word) = options.only.iter().find(|word| {
        let mut names = names.iter();
        !names.any(|name| name.contains(word.as_str()))
    }) {
        return Err(no_such_server(options, word, &names));
    }
    build_rungs(&root)?;
    let wanted = |name: &str| {
        let words = &options.only;
        words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
    };
    servers.retain(|server| wanted(&server.name));
    let mut absent = Vec::new();
    if options.peers {
        let message = b"building the peers; the first time that takes some minutes\n";
        let _ = io::stderr().write_all(message);
    }
    for (name, make) in peers.into_iter().filter(|(name, _)| wanted(name)) {
        match make() {
            Ok(peer) => servers.push(peer),
            Err(why) => absent.push(format!("{name}: {why}")),
        }
    }
    if servers.is_empty() {
        let message = format!("bench ladder: nothing to measure: {}", absent.join("; "));
        return Err(Error::new(message));
    }
    Ok((servers, absent))
}

fn no_such_server(options: &Options, word: &str, names: &[&str]) -> Error {
    let mut message = format!(
        "bench ladder --only {word:?}: no server's name contains this; the names are: {}",
        names.join("; ")
    );
    if options.quick {
        message += " (without --quick also UDP's)";
    }
    if !options.peers {
        message += " (with --peers also servers by others)";
    }
    Error::usage(message)
}

fn build_rungs(root: &Path) -> Result<(), Error> {
    let packages = ["one-at-a-time", "readiness", "completion", "measuring"];
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release"]).current_dir(root);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    let status = build::status(&mut cargo).map_err(Error::io("cargo build --release"))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("cargo build --release: {status}")))
}

/// Returns the lessons' servers, the last of TCP and of UDP twice.
fn rungs(options: &Options, release: &Path) -> Vec<Server> {
    let rung = |name: &str, clients| Server::ours(release, name, clients);
    let again = |name: &str| Server {
        name: format!("{name} again"),
        control: true,
        ..rung(name, 100_000)
    };
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
        again(LAST_RUNG),
    ];
    if !options.quick {
        servers.extend([
            rung("udp-server-one-at-a-time", 100_000),
            rung("udp-server-mmsg", 100_000),
            again("udp-server-mmsg"),
            rung("udp-server-io-uring", 100_000),
        ]);
    }
    servers
}

type Made = Result<Server, String>;

/// Builds a peer, or says why it cannot be had here.
type Make<'a> = Box<dyn FnOnce() -> Made + 'a>;

/// Returns the peers, by name. None of them is built before it is asked for.
fn peers(folder: &Path) -> Vec<(&'static str, Make<'_>)> {
    let forking = |peer: &'static str, arguments: &'static [&str]| -> Make<'_> {
        Box::new(move || {
            here(peer)?;
            // It has a process for each client, so give it only a few.
            let server = Server::peer(peer, peer, arguments);
            Ok(Server { forks: true, clients: 50, ..server })
        })
    };
    let rust = |feature: &'static str, peer: &'static str| -> Make<'_> {
        Box::new(move || rust(folder, feature, peer))
    };
    let python = |peer: &'static str, module: &'static str| -> Make<'_> {
        Box::new(move || python(peer, module))
    };
    vec![
        ("C, epoll", Box::new(|| c(folder, "epoll", "C, epoll", &[]))),
        ("libuv", Box::new(|| c(folder, "libuv", "libuv", &["-luv"]))),
        ("C++, Asio", Box::new(|| asio(folder))),
        ("Rust, mio", rust("mio", "Rust, mio")),
        ("Rust, monoio", rust("monoio", "Rust, monoio")),
        ("Rust, glommio", rust("glommio", "Rust, glommio")),
        (
            "C, recvmmsg",
            Box::new(|| {
                let peer = c(folder, "mmsg", "C, recvmmsg", &[])?;
                Ok(Server { udp: true, readiness: Readiness::Line, ..peer })
            }),
        ),
        ("Go", Box::new(|| go(folder))),
        (
            "Node.js",
            Box::new(|| {
                here("node")?;
                let script = source_text("node_echo.js");
                Ok(Server::peer("Node.js", "node", &[&script, "PORT"]))
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

fn source(name: &str) -> PathBuf {
    workspace::root().join("crates/bench/peers").join(name)
}

fn source_text(name: &str) -> String {
    source(name).to_string_lossy().into_owned()
}

fn here(program: &str) -> Result<(), String> {
    run(Command::new("sh").args(["-c", "command -v \"$0\"", program]))
        .map_err(|_| "not installed".into())
}

fn c(folder: &Path, name: &str, peer: &str, extra: &[&str]) -> Made {
    Ok(Server::peer(peer, compiled(folder, name, extra)?, &["PORT"]))
}

/// Compiles a program in C, and returns its path.
fn compiled(folder: &Path, name: &str, extra: &[&str]) -> Result<PathBuf, String> {
    let mut compiler = Command::new("cc");
    compiler.arg("-O2").arg(source(&format!("{name}.c")));
    let program = folder.join(format!("peer-{name}"));
    compiler.arg("-o").arg(&program).args(extra);
    run(&mut compiler)?;
    Ok(program)
}

/// Builds the program that does without a server, and returns its path.
pub(super) fn floor() -> Result<PathBuf, String> {
    compiled(&workspace::root().join("target/bench"), "floor", &["-pthread"])
        .map_err(|why| format!("the floor: {why}"))
}

fn asio(folder: &Path) -> Made {
    let program = folder.join("peer-asio");
    let mut compiler = Command::new("c++");
    compiler.args(["-O2", "-std=c++17", "-pthread"]).arg(source("asio.cpp"));
    compiler.arg("-o").arg(&program);
    run(&mut compiler).map(|()| Server::peer("C++, Asio", program, &["PORT"]))
}

fn go(folder: &Path) -> Made {
    here("go")?;
    let program = folder.join("peer-go");
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o"]).arg(&program).arg(source("echo.go"));
    run(&mut go)?;
    Ok(Server::peer("Go", program, &["PORT"]))
}

fn rust(folder: &Path, feature: &str, peer: &str) -> Made {
    let built = folder.join("peers");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--features", feature]);
    cargo.args(["--bin", feature, "--manifest-path"]);
    cargo.arg(source("rust/Cargo.toml")).arg("--target-dir").arg(&built);
    run(&mut cargo)?;
    Ok(Server::peer(peer, built.join("release").join(feature), &["PORT"]))
}

fn python(peer: &str, module: &str) -> Made {
    let python = interpreter()?;
    let import = format!("import {module}");
    run(Command::new(&python).args(["-c", &import]))
        .map_err(|_| format!("Python has no {module}"))?;
    let script = source_text("asyncio_echo.py");
    Ok(Server::peer(peer, python, &[&script, "PORT", module]))
}

/// Returns the path of the interpreter itself: a version manager's shim would be measured
/// too.
fn interpreter() -> Result<PathBuf, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_in_no_name_is_a_wrong_command_line_before_anything_is_built() {
        let options = |word: &str, peers| Options {
            quick: true,
            peers,
            rounds: None,
            only: vec!["fast".into(), word.into()],
            keep: false,
        };
        // The folder is never used.
        let nowhere = Path::new("/dev/null/nowhere");
        for (word, peers) in [("nothing", true), ("udp", false), ("mio", false)] {
            let error = prepare(&options(word, peers), nowhere).expect_err(word);
            let message = error.to_string();
            assert_eq!((error.status(), message.lines().count()), (2, 1), "{message}");
            let start = format!("bench ladder --only {word:?}: no server's name");
            assert!(message.starts_with(&start), "{message}");
            assert!(message.contains("tcp-server-fast"), "{message}");
        }
    }
}
