//! Simulates older kernels and sandboxes, which refuse some system calls, by running a program
//! under a filter of its own (`seccomp(2)`).
#![allow(unsafe_code, reason = "prctl(2) between fork and exec has no form in std")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What happens to the calls of a program and of everything that it starts.
#[derive(Debug, Clone, Default)]
pub struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// Like a kernel of 2018: calls that are newer than Linux 4.19 fail with `ENOSYS`, and a
    /// packet socket cannot be told to ignore what leaves.
    pub fn linux_4_19() -> Filter {
        let unknown = [
            libc::SYS_clone3,
            libc::SYS_close_range,
            libc::SYS_faccessat2,
            libc::SYS_openat2,
            libc::SYS_pidfd_getfd,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_io_uring_setup,
            libc::SYS_epoll_pwait2,
        ];
        const PACKET_IGNORE_OUTGOING: u32 = 23;
        Filter::default().refusing(&unknown, libc::ENOSYS).refusing_where(
            libc::SYS_setsockopt,
            2,
            PACKET_IGNORE_OUTGOING,
        )
    }

    /// Like Docker's default profile for a container without extra capabilities.
    pub fn docker() -> Filter {
        let refused = [
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pidfd_getfd,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
        ];
        Filter::default()
            .refusing(&refused, libc::EPERM)
            .refusing(&[libc::SYS_clone3], libc::ENOSYS)
    }

    /// Makes these calls fail with this error.
    #[must_use]
    pub fn refusing(self, calls: &[i64], errno: i32) -> Filter {
        let answer = libc::SECCOMP_RET_ERRNO | errno.cast_unsigned();
        calls.iter().fold(self, |filter, call| filter.answering(*call, None, answer))
    }

    /// Makes this call fail with `EPERM` if the argument at this index is `value`.
    #[must_use]
    pub fn refusing_where(self, call: i64, argument: u32, value: u32) -> Filter {
        let answer = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
        self.answering(call, Some((argument, value)), answer)
    }

    /// Makes this call kill its process with SIGSYS.
    #[must_use]
    pub fn deadly(self, call: i64) -> Filter {
        self.answering(call, None, libc::SECCOMP_RET_KILL_PROCESS)
    }

    fn answering(mut self, call: i64, asked: Option<(u32, u32)>, answer: u32) -> Filter {
        let step = |code: u32, jf: u8, k: u32| libc::sock_filter {
            code: code as u16,
            jt: 0,
            jf,
            k,
        };
        // Loads a word of struct seccomp_data: the number of the call, or the low half of an
        // argument.
        let load = |at| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, at);
        let equal = |jf, k| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jf, k);
        let number = u32::try_from(call).expect("the number of a call");
        self.0.push(load(0));
        self.0.push(equal(if asked.is_some() { 3 } else { 1 }, number));
        if let Some((argument, value)) = asked {
            self.0.push(load(16 + 8 * argument));
            self.0.push(equal(1, value));
        }
        self.0.push(step(libc::BPF_RET | libc::BPF_K, 0, answer));
        self
    }

    /// Puts the program that the command starts under the filter.
    pub fn around(mut self, command: &mut Command) {
        let allow = libc::SECCOMP_RET_ALLOW;
        let code = (libc::BPF_RET | libc::BPF_K) as u16;
        self.0.push(libc::sock_filter { code, jt: 0, jf: 0, k: allow });
        // SAFETY: between fork and exec only prctl is called, which is async-signal-safe; the
        // filter was made before, and lives in the closure.
        unsafe {
            command.pre_exec(move || {
                let program = libc::sock_fprog {
                    len: self.0.len() as u16,
                    filter: self.0.as_ptr().cast_mut(),
                };
                let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
                if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as libc::c_ulong, 0, 0, 0) < 0
                    || libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) < 0
                {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
    }
}
