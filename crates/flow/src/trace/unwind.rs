//! Finds the source line that made a call.
//!
//! The call instruction is in the C library or in `std`; the line that we want is that of
//! the innermost frame whose source is the program's own. So the stack is unwound through
//! the libraries' tables (`.eh_frame` or, where there are none, as in Go, the frame
//! pointers), and each return address is looked up in the program's debug information, if
//! it has any; see `lines`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use framehop::{ExplicitModuleSectionInfo, Module, Unwinder as _};
use object::{Object as _, ObjectSection as _};

use super::arch::{self, Cache, Unwinder};
use super::lines::DebugInfo;
use super::sys;
use crate::event::Source;

/// How many bytes of the stack are looked at, from the innermost frame on.
const STACK_BYTES: usize = 32 * 1024;

/// How many bytes of the stack are read at a time: most calls need no more.
const STACK_PIECE: usize = 2 * 1024;

/// After this many calls without a single line, the program's debug information is not
/// about its own source (every Rust program has that of Rust's library), and is not
/// consulted again.
const CALLS_IN_VAIN: u32 = 500;

/// How many frames are looked at before giving up.
const FRAMES: usize = 64;

type Bytes = std::sync::Arc<[u8]>;

/// Finds source lines for the threads of any number of processes.
#[derive(Default)]
pub(super) struct Unwind {
    /// Programs by path, with their debug information if they have any.
    programs: HashMap<PathBuf, Option<std::rc::Rc<DebugInfo>>>,
    /// Unwinding tables by path.
    tables: HashMap<PathBuf, Option<Tables>>,
    processes: HashMap<i32, Option<MappedProcess>>,
}

/// The sections of a mapped file that unwinding needs.
#[derive(Clone)]
struct Tables {
    sections: ExplicitModuleSectionInfo<Bytes>,
}

/// A process's mapped files.
struct MappedProcess {
    program: std::rc::Rc<DebugInfo>,
    /// Where the program is loaded: an address minus this is the address in the file.
    program_base: u64,
    program_range: std::ops::Range<u64>,
    unwinder: Unwinder<Bytes>,
    cache: Cache,
    lines: HashMap<u64, Option<Source>>,
    /// The number of calls without a line so far; `None` once there was a line.
    in_vain: Option<u32>,
}

impl Unwind {
    /// Forgets a process that has ended or runs another program now.
    pub(super) fn forget(&mut self, pid: i32) {
        self.processes.remove(&pid);
    }

    /// The line of the program's own source at which a stopped thread of the process is.
    /// `start` are its registers, if they have been read already.
    pub(super) fn source(
        &mut self,
        pid: i32,
        tid: i32,
        start: Option<arch::Start>,
    ) -> Option<Source> {
        if !self.processes.contains_key(&pid) {
            let process = self.load(pid);
            self.processes.insert(pid, process);
        }
        let process = self.processes.get_mut(&pid)?.as_mut()?;
        process.source(tid, start)
    }

    /// Loads what is needed about a process; `None` if its program has no debug
    /// information.
    fn load(&mut self, pid: i32) -> Option<MappedProcess> {
        let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let program = match self.programs.get(&path) {
            Some(known) => known.clone()?,
            None => {
                let loaded = DebugInfo::of(&path).map(std::rc::Rc::new);
                self.programs.insert(path.clone(), loaded.clone());
                loaded?
            }
        };
        let mut process = MappedProcess {
            program,
            program_base: 0,
            program_range: 0..0,
            unwinder: Unwinder::new(),
            cache: Cache::new(),
            lines: HashMap::new(),
            in_vain: Some(0),
        };
        for mapped in mapped_files(pid)? {
            if mapped.path == path {
                process.program_base = mapped.base;
                process.program_range = mapped.range.clone();
            }
            let tables = self
                .tables
                .entry(mapped.path.clone())
                .or_insert_with(|| Tables::read(&mapped.path));
            if let Some(tables) = tables {
                process.unwinder.add_module(Module::new(
                    mapped.path.to_string_lossy().into_owned(),
                    mapped.range,
                    mapped.base,
                    tables.sections.clone(),
                ));
            }
        }
        (!process.program_range.is_empty()).then_some(process)
    }
}

impl MappedProcess {
    fn source(&mut self, tid: i32, start: Option<arch::Start>) -> Option<Source> {
        if self.in_vain.is_some_and(|calls| calls > CALLS_IN_VAIN) {
            return None;
        }
        let found = self.look(tid, start);
        self.in_vain = match found {
            Some(_) => None,
            None => self.in_vain.map(|calls| calls + 1),
        };
        found
    }

    fn look(&mut self, tid: i32, start: Option<arch::Start>) -> Option<Source> {
        let (ip, sp, regs) = match start {
            Some(start) => start,
            None => arch::unwind_start(tid).ok()?,
        };
        let mut stack: Vec<u8> = Vec::with_capacity(STACK_PIECE);
        let mut read_word = |at: u64| {
            let offset = usize::try_from(at.wrapping_sub(sp)).map_err(|_| ())?;
            let end = offset.checked_add(8).filter(|&end| end <= STACK_BYTES).ok_or(())?;
            while stack.len() < end {
                let known = stack.len();
                stack.resize(known + STACK_PIECE, 0);
                let read = sys::read_memory(tid, sp + known as u64, &mut stack[known..]);
                stack.truncate(known + read);
                if read == 0 {
                    return Err(());
                }
            }
            let word = stack.get(offset..end).ok_or(())?;
            word.try_into().map(u64::from_ne_bytes).map_err(|_| ())
        };
        let mut frames =
            self.unwinder.iter_frames(ip, regs, &mut self.cache, &mut read_word);
        for _ in 0..FRAMES {
            let Ok(Some(frame)) = frames.next() else { return None };
            let address = frame.address_for_lookup();
            if !self.program_range.contains(&address) {
                continue;
            }
            let (program, base) = (&self.program, self.program_base);
            let line = self
                .lines
                .entry(address)
                .or_insert_with(|| program.own_line(address.wrapping_sub(base)));
            if line.is_some() {
                return line.clone();
            }
        }
        None
    }
}

struct Mapped {
    path: PathBuf,
    base: u64,
    range: std::ops::Range<u64>,
}

/// The executable files that a process has mapped, from `/proc/PID/maps`.
fn mapped_files(pid: i32) -> Option<Vec<Mapped>> {
    let maps = std::fs::read(format!("/proc/{pid}/maps")).ok()?;
    let mut files: Vec<Mapped> = Vec::new();
    for line in maps.split(|byte| *byte == b'\n') {
        // start-end perms offset device inode path; the path may hold any byte.
        let Some(slash) = line.iter().position(|byte| *byte == b'/') else { continue };
        let (numbers, path) = line.split_at(slash);
        let mut words = std::str::from_utf8(numbers).ok()?.split(' ');
        let range = words.next()?;
        let (start, end) = range.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let offset = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        let path = OsStr::from_bytes(path);
        match files.iter_mut().find(|file| file.path == Path::new(path)) {
            Some(file) => file.range.end = file.range.end.max(end),
            // The first mapping of a file is that of its beginning, at offset 0.
            None if offset == 0 => {
                files.push(Mapped { path: path.into(), base: start, range: start..end })
            }
            None => {}
        }
    }
    for file in &mut files {
        if is_fixed(&file.path) {
            file.base = 0;
        }
    }
    Some(files)
}

/// Whether the file is linked to fixed addresses, so that those in the file are the real
/// ones.
fn is_fixed(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0_u8; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    // e_type: ET_EXEC is 2.
    read.is_ok() && head[16] == 2
}

impl Tables {
    fn read(path: &Path) -> Option<Tables> {
        // Reads only the parts that are asked for, not the whole file.
        let bytes = object::ReadCache::new(File::open(path).ok()?);
        let file = object::File::parse(&bytes).ok()?;
        let range = |name: &str| {
            let section = file.section_by_name(name)?;
            Some(section.address()..section.address() + section.size())
        };
        let data = |name: &str| -> Option<Bytes> {
            Some(file.section_by_name(name)?.data().ok()?.into())
        };
        Some(Tables {
            sections: ExplicitModuleSectionInfo {
                base_svma: 0,
                text_svma: range(".text"),
                eh_frame_svma: range(".eh_frame"),
                eh_frame: data(".eh_frame"),
                eh_frame_hdr_svma: range(".eh_frame_hdr"),
                eh_frame_hdr: data(".eh_frame_hdr"),
                got_svma: range(".got"),
                ..Default::default()
            },
        })
    }
}
