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
}

pub(super) use this::{AUDIT_ARCH, Cache, Regs, Unwinder};

/// The program counter, the stack pointer, and the registers where unwinding starts, of a
/// stopped thread.
pub(super) fn unwind_start(tid: i32) -> io::Result<(u64, u64, Regs)> {
    let words = super::sys::registers(tid, this::ZEROED)?;
    Ok(this::program_counter_and_regs(&words))
}
