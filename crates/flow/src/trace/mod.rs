//! Runs programs, or attaches to running ones, and records their socket calls and
//! packets.
//!
//! The kernel stops a traced thread at each socket call (a seccomp filter spares all
//! other calls the stop), and the tracer reads the call's arguments and results from the
//! program's memory. The children and threads of a traced program are traced as well.
//! What a program does through io_uring is not seen; and since the filter requires
//! `no_new_privs`, a setuid program gains no privileges under it.

mod address;
mod arch;
mod calls;
mod decode;
mod diag;
mod filter;
mod lines;
mod memory;
mod names;
mod options;
mod processors;
mod python;
mod reasons;
mod session;
mod sharing;
mod sockets;
mod spawn;
mod sys;
mod thread;
mod tracer;
mod turns;
mod unwind;

pub use python::PythonLines;
pub use session::{Condition, Options, Session, TraceError};
pub use spawn::{Program, SpawnError};
pub use sys::{stop_watching_signals, watch_signals};

use crate::event::Header;

/// The first line of the log of a run that begins on this system now.
pub fn header(in_turn: bool) -> Header {
    let read = |name: &str| {
        let path = format!("/proc/sys/kernel/{name}");
        std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    };
    let release = read("osrelease");
    let release: Vec<&str> = release.split(['.', '-']).take(2).collect();
    let mut measured = vec!["printed".to_owned(), "source_hash".to_owned()];
    if diag::Diag::open().is_open() {
        measured.insert(0, "kernel".to_owned());
    }
    Header {
        system: format!(
            "{} {} {}",
            read("ostype"),
            release.join("."),
            std::env::consts::ARCH
        ),
        in_turn,
        began_ns: sys::now_ns(),
        measured,
        ..Header::default()
    }
}
