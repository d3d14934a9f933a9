//! How much memory a program has needed.

use std::fmt::{self, Display};

/// The most memory that this process has had at any one time so far, as a bound that does
/// not vary from run to run: a power of two, such as `less than 8 MiB`.
///
/// On Linux this comes from `VmHWM` in `/proc/self/status` (proc_pid_status(5)): the peak
/// of the memory that was really in RAM, including the program's own code. Elsewhere it
/// displays as `not known on this system`.
#[derive(Clone, Copy, Debug)]
pub struct PeakMemory(Option<u64>);

impl PeakMemory {
    /// Looks it up now.
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self(kibibytes(&status))
    }
}

/// Parses the line `VmHWM:     2312 kB`, in which kB means 1024 bytes.
fn kibibytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

impl Display for PeakMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(kibibytes) = self.0 else {
            return formatter.write_str("not known on this system");
        };
        let bound = (kibibytes / 1024).saturating_add(1).next_power_of_two().max(8);
        write!(formatter, "less than {bound} MiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_is_a_power_of_two_above_the_peak() {
        for (kibibytes, shown) in [
            (1, "less than 8 MiB"),
            (8 * 1024 - 1, "less than 8 MiB"),
            (8 * 1024, "less than 16 MiB"),
            (64 * 1024 + 3000, "less than 128 MiB"),
        ] {
            assert_eq!(PeakMemory(Some(kibibytes)).to_string(), shown);
        }
        assert_eq!(PeakMemory(None).to_string(), "not known on this system");
    }

    #[test]
    fn line_of_the_kernel_is_understood() {
        let status = "Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t    2312 kB\nThreads:\t1\n";
        assert_eq!(kibibytes(status), Some(2312));
        assert_eq!(kibibytes("VmHWM:\n"), None);
        assert_eq!(kibibytes(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_is_used_shows() {
        let before = PeakMemory::now().0.expect("VmHWM");
        // We write to it: pages that are only reserved do not count.
        let memory = vec![1_u8; 32 << 20];
        assert!(std::hint::black_box(&memory).len() == 32 << 20);
        assert!(PeakMemory::now().0.expect("VmHWM") >= before.max(32 << 10));
    }
}
