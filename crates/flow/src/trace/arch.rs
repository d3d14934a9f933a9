//! What differs between processors: the registers that unwinding needs, and which of the
//! older system calls exist.

use std::io;

#[cfg(target_arch = "x86_64")]
mod this {
    pub(in crate::trace) use framehop::x86_64::{
        CacheX86_64 as Cache, UnwindRegsX86_64 as Regs, UnwinderX86_64 as Unwinder,
    };

    /// `AUDIT_ARCH_X86_64` of `linux/audit.h`.
    pub(in crate::trace) const AUDIT_ARCH: u32 = 0xc000_003e;

    /// `struct user_regs_struct`: 27 words.
    type Words = [u64; 27];
    pub(super) const ZEROED: Words = [0; 27];

    pub(super) fn program_counter_and_regs(words: &Words) -> (u64, u64, Regs) {
        let (bp, ip, sp) = (words[4], words[16], words[19]);
        (ip, sp, Regs::new(ip, sp, bp))
    }

    /// At the entry of a call its number is in `orig_rax`, its arguments in `rdi`, `rsi`,
    /// `rdx`, `r10`, `r8` and `r9`.
    pub(super) fn call(words: &Words) -> (u64, [u64; 6]) {
        (words[15], [words[14], words[13], words[12], words[7], words[9], words[8]])
    }
}

#[cfg(target_arch = "aarch64")]
mod this {
    pub(in crate::trace) use framehop::aarch64::{
        CacheAarch64 as Cache, UnwindRegsAarch64 as Regs, UnwinderAarch64 as Unwinder,
    };

    /// `AUDIT_ARCH_AARCH64` of `linux/audit.h`.
    pub(in crate::trace) const AUDIT_ARCH: u32 = 0xc000_00b7;

    /// `struct user_pt_regs`: 31 registers, sp, pc, pstate.
    type Words = [u64; 34];
    pub(super) const ZEROED: Words = [0; 34];

    pub(super) fn program_counter_and_regs(words: &Words) -> (u64, u64, Regs) {
        let (fp, lr, sp, pc) = (words[29], words[30], words[31], words[32]);
        (pc, sp, Regs::new(lr, sp, fp))
    }

    /// At the entry of a call its number is in `x8`, its arguments in `x0` to `x5`.
    pub(super) fn call(words: &Words) -> (u64, [u64; 6]) {
        (words[8], [words[0], words[1], words[2], words[3], words[4], words[5]])
    }
}

use this::Regs;
pub(super) use this::{AUDIT_ARCH, Cache, Unwinder};

/// Program counter, stack pointer and what unwinding starts from.
pub(super) type Start = (u64, u64, Regs);

/// A call at its entry.
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) args: [u64; 6],
    pub(super) start: Start,
}

/// What a thread is about to call that the filter has stopped. Its registers tell more than
/// `PTRACE_GET_SYSCALL_INFO`, with one request for both.
pub(super) fn entry(tid: i32) -> io::Result<Entry> {
    let words = super::sys::registers(tid, this::ZEROED)?;
    let (number, args) = this::call(&words);
    Ok(Entry {
        number: number as i64,
        args,
        start: this::program_counter_and_regs(&words),
    })
}

/// The same of a stopped thread whose registers have not been read.
pub(super) fn unwind_start(tid: i32) -> io::Result<Start> {
    let words = super::sys::registers(tid, this::ZEROED)?;
    Ok(this::program_counter_and_regs(&words))
}
