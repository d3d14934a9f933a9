//! What `/proc` says about a program's processes: their processor time and their memory.
//!
//! Source: `proc_pid_stat(5)`, `proc_pid_smaps(5)`, `proc_pid_fd(5)`, `proc_pid_status(5)`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use netlab::process;

/// The unit of the times in `/proc/PID/stat`: `USER_HZ` is 100 on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// Returns the processor time of `pid`, and that of the children that it has waited for.
fn times(pid: u32) -> Option<(Duration, Duration)> {
    let text = process::read_text(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain spaces; the state is the first field after it.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    let (user, system, waited_user, waited_system) = (next()?, next()?, next()?, next()?);
    Some((TICK * (user + system), TICK * (waited_user + waited_system)))
}

/// Returns the processor time of one process.
pub(super) fn processor_time(pid: u32) -> Duration {
    times(pid).map_or(Duration::ZERO, |(own, _)| own)
}

/// Returns the total processor time of these processes and of the children that they have
/// waited for.
pub(super) fn processor_time_of_all(family: &[u32]) -> Duration {
    family.iter().filter_map(|pid| times(*pid)).map(|(own, waited)| own + waited).sum()
}

/// Returns the longest time that any one thread of these processes has spent waiting for a
/// processor.
pub(super) fn waited_for_processor(family: &[u32]) -> Duration {
    let threads = family.iter().flat_map(|pid| {
        fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten()
    });
    let waited = threads.map(|thread| thread_waited_for_processor(&thread.path()));
    waited.max().unwrap_or_default()
}

/// Returns how long a thread has spent waiting for a processor so far: the second number in
/// its `schedstat` (the kernel's `sched-stats.rst`). `thread` is its folder in `/proc`.
/// Returns zero if the kernel does not say.
pub(crate) fn thread_waited_for_processor(thread: &Path) -> Duration {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    let nanoseconds = text.split_whitespace().nth(1).and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Returns the memory that these processes use together, in bytes. A page that several share
/// counts once (the proportional set size), if the kernel reports it.
pub(super) fn memory_bytes(family: &[u32]) -> u64 {
    let share = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes << 10)
    };
    family.iter().map(|pid| share(*pid).unwrap_or(process::resident_bytes(*pid))).sum()
}

/// Returns the memory, in bytes, of the anonymous files (`memfd_create(2)`) that these
/// processes hold open. They use memory even if no process has mapped them.
pub(super) fn memfd_bytes(family: &[u32]) -> u64 {
    let mut files = std::collections::BTreeMap::new();
    for pid in family {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten() {
            let Ok(entry) = entry else { continue };
            let target = fs::read_link(entry.path()).unwrap_or_default();
            if !target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
                continue;
            }
            if let Ok(file) = fs::metadata(entry.path()) {
                files.insert((file.dev(), file.ino()), file.blocks() * 512);
            }
        }
    }
    files.values().sum()
}

/// Returns the process group of `pid`.
pub(super) fn group(pid: u32) -> Option<u32> {
    let text = process::read_text(format!("/proc/{pid}/stat"))?;
    text.get(text.rfind(')')? + 1..)?.split_whitespace().nth(2)?.parse().ok()
}

/// Returns whether `pid` has a handler for this signal, and so may pass it on.
pub(super) fn catches(pid: u32, signal: u32) -> bool {
    let text = process::read_text(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    caught.is_some_and(|set| set & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_as_processor_time() {
        let own = std::process::id();
        let before = processor_time(own);
        let mut number = 1_u64;
        while processor_time(own) < before + 3 * TICK {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(processor_time_of_all(&[own]) >= before + 3 * TICK);
    }

    #[test]
    fn this_process_has_memory_and_no_memfd() {
        let own = [std::process::id()];
        assert!(memory_bytes(&own) > 100_000);
        assert_eq!(memfd_bytes(&own), 0);
    }
}
