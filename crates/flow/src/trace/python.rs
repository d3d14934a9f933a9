//! Finds the line of a Python program that made a call.
//!
//! The stack of the interpreter says nothing about the program that it runs. So `flow`
//! gives the program a module, `sitecustomize`, which Python imports at startup, and
//! which has the interpreter report each line (`sys.settrace`, which every version of
//! Python has; `sys.monitoring` would be faster, but needs Python 3.12). The module keeps
//! the line in an array, where the tracer reads it when the program makes a call.
//!
//! The module is in a file without a name (`memfd_create(2)`), as a zip archive, because
//! Python can import from those. Nothing is left behind, wherever `flow` is installed. A
//! Python that ignores `PYTHONPATH` (`-I`, `-E`) has no lines.
#![allow(unsafe_code)] // memfd_create(2).

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};

use super::memory::Memory;
use super::sys::check;
use crate::event::Source;

const MODULE: &[u8] = include_bytes!("sitecustomize.py");
const NAME: &[u8] = b"sitecustomize.py";

/// How a report begins: it is a write to a descriptor that does not exist.
const TELLING: &str = "flow.python ";
/// The most threads of a process for which the module keeps lines.
const THREADS: usize = 256;

/// The archive with the module. It must live as long as the programs.
#[derive(Debug)]
pub struct PythonLines {
    archive: File,
}

impl PythonLines {
    /// Creates the archive.
    ///
    /// # Errors
    /// Those of `memfd_create(2)` and `write(2)`.
    pub fn new() -> io::Result<PythonLines> {
        // SAFETY: the name is NUL-terminated.
        let fd = check(libc::c_long::from(unsafe {
            libc::memfd_create(c"flow-python".as_ptr(), libc::MFD_CLOEXEC)
        }))?;
        // SAFETY: the descriptor is new and ours.
        let mut archive = unsafe { File::from_raw_fd(fd as i32) };
        archive.write_all(&zip(NAME, MODULE))?;
        Ok(PythonLines { archive })
    }

    /// The variable by which Python finds the module, put in front of its current value.
    pub fn variable(&self) -> (OsString, OsString) {
        let mut path = OsString::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.archive.as_raw_fd()
        ));
        if let Some(before) = std::env::var_os("PYTHONPATH").filter(|it| !it.is_empty()) {
            path.push(":");
            path.push(before);
        }
        ("PYTHONPATH".into(), path)
    }
}

/// An archive with one file, stored uncompressed (APPNOTE.TXT of PKZIP, 4.3).
fn zip(name: &[u8], content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32).to_le_bytes();
    // Version, flags, method "stored", time, and 1980-01-01; then the checksum and sizes.
    let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    common.extend(crc32(content).to_le_bytes());
    common.extend([size, size].concat());
    common.extend((name.len() as u16).to_le_bytes());
    common.extend([0, 0]);
    let mut it = b"PK\x03\x04".to_vec();
    it.extend(&common);
    it.extend(name);
    it.extend(content);
    let directory_at = it.len() as u32;
    it.extend(b"PK\x01\x02\x0a\x00");
    it.extend(&common);
    it.extend([0; 14]);
    it.extend(name);
    let directory = it.len() as u32 - directory_at;
    it.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    it.extend(directory.to_le_bytes());
    it.extend(directory_at.to_le_bytes());
    it.extend([0; 2]);
    it
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}

/// What the modules in the traced processes have reported.
#[derive(Debug, Default)]
pub(super) struct Pythons(HashMap<i32, Python>);

#[derive(Debug, Clone, Default)]
struct Python {
    /// The address of the array.
    lines: u64,
    files: HashMap<u64, String>,
}

impl Pythons {
    /// Takes a report from a process, if these bytes, which it wrote to no descriptor,
    /// are one.
    pub(super) fn hear(&mut self, pid: i32, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Some(text) = text.strip_prefix(TELLING) else { return };
        match text.split_once(' ') {
            Some(("lines", address)) => {
                let lines = address.parse().unwrap_or(0);
                self.0.insert(pid, Python { lines, ..Python::default() });
            }
            Some(("file", file)) => {
                if let (Some(python), Some((number, path))) =
                    (self.0.get_mut(&pid), file.split_once(' '))
                    && let Ok(number) = number.parse()
                    && python.files.len() < 1000
                {
                    python.files.insert(number, path.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Records that a process forked: the child has the same array at the same address.
    pub(super) fn forked(&mut self, parent: i32, child: i32) {
        if let Some(python) = self.0.get(&parent).cloned() {
            self.0.insert(child, python);
        }
    }

    /// Forgets a process that has ended or runs another program now.
    pub(super) fn forget(&mut self, pid: i32) {
        self.0.remove(&pid);
    }

    /// The line of the program's own code at which a stopped thread is.
    pub(super) fn source(&self, pid: i32, memory: Memory) -> Option<Source> {
        let python = self.0.get(&pid)?;
        let bytes = memory.bytes(python.lines, THREADS * 24);
        let word = |at: &[u8]| at.try_into().map_or(0, u64::from_ne_bytes);
        let place = bytes
            .chunks_exact(24)
            .find(|place| word(&place[..8]) == memory.tid as u64)?;
        let file = python.files.get(&word(&place[8..16]))?.clone();
        let line = u32::try_from(word(&place[16..24])).ok().filter(|line| *line > 0)?;
        Some(Source { file, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn python_reads_the_archive() {
        let lines = PythonLines::new().unwrap();
        let (_, path) = lines.variable();
        let script = "import sys, zipimport; \
                      print(zipimport.zipimporter(sys.argv[1]).get_source('sitecustomize'))";
        let ran = std::process::Command::new("python3")
            .args(["-I", "-c", script])
            .arg(path.to_string_lossy().split(':').next().unwrap())
            .output();
        let Ok(ran) = ran else {
            testkit::skip("lines of Python", "python3 is not installed");
            return;
        };
        let said = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(said.trim_end(), std::str::from_utf8(MODULE).unwrap().trim_end());
    }

    #[test]
    fn a_telling_that_is_none_changes_nothing() {
        let mut pythons = Pythons::default();
        for bytes in [
            &b"\xff"[..],
            b"",
            b"flow.python ",
            b"flow.python file 1 x",
            b"flow.python x y",
        ] {
            pythons.hear(1, bytes);
        }
        assert!(pythons.0.is_empty(), "{pythons:?}");
    }
}
