//! Harmful programs, which the fence must contain. They are not mutants of a task.

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::{Flaw, for_ever, loopback, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let what = flaw.0.as_str();
    match what {
        // Each process starts two more, and so on.
        "fork-bomb" => {
            own(what)?.spawn()?;
            own(what)?.spawn()?;
            for_ever()
        }
        "thread-bomb" => loop {
            std::thread::Builder::new().spawn(|| for_ever())?;
        },
        #[cfg(target_os = "linux")]
        "memfd-hog" => memfd_hog(),
        "memory-hog" => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            for number in 0_usize.. {
                // Touch one byte per page, so that the memory is really used.
                let mut some = vec![0; 16 << 20];
                some.iter_mut().step_by(4096).for_each(|byte| *byte = number as u8);
                all.push(some);
            }
            Ok(())
        }
        "flood" => loop {
            io::stdout().write_all(&[b'x'; 4096])?;
        },
        "spins" => loop {
            std::hint::spin_loop();
        },
        // It ignores SIGTERM, and so does what it becomes.
        "ignores-term" => {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' TERM INT HUP; exec \"$0\" nasty listens"]);
            shell.arg(std::env::current_exe()?).spawn()?.wait()?;
            Ok(())
        }
        "listens" => {
            let _listener = TcpListener::bind(loopback(port(flaw)))?;
            for_ever()
        }
        // A process in a session of its own outlives the program.
        "daemon" => {
            let mut left = Command::new("setsid");
            left.arg(std::env::current_exe()?).args(["nasty", "sleeps"]);
            left.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            Ok(())
        }
        "sleeps" => for_ever(),
        // Looks for a secret in its own environment and in any other that it can read.
        "reads-secrets" => {
            for (name, value) in std::env::vars() {
                println!("{name}={value}");
            }
            for entry in std::fs::read_dir("/proc")?.flatten() {
                let environment = std::fs::read(entry.path().join("environ"));
                let text = environment.unwrap_or_default();
                println!("{}", String::from_utf8_lossy(&text).replace('\0', "\n"));
            }
            Ok(())
        }
        // Tries to kill processes outside, which it should not even see.
        "kills" => {
            for entry in std::fs::read_dir("/proc")?.flatten() {
                if let Some(pid) = entry.file_name().to_str().filter(|it| it.len() > 1) {
                    let _ = Command::new("kill").args(["-9", pid]).output();
                }
            }
            Ok(())
        }
        _ => Err(io::Error::other(format!("no such harm: {what}"))),
    }
}

/// Fills files in memory that no process has mapped.
#[cfg(target_os = "linux")]
fn memfd_hog() -> io::Result<()> {
    use std::io::Read as _;

    use rustix::fs::{MemfdFlags, memfd_create};

    let mut files = Vec::new();
    for _ in 0..8 {
        let file = memfd_create("hog", MemfdFlags::empty())?;
        let mut file = std::fs::File::from(file);
        io::copy(&mut io::repeat(1).take(16 << 20), &mut file)?;
        files.push(file);
    }
    for_ever()
}

fn own(what: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["nasty", what]);
    Ok(command)
}
