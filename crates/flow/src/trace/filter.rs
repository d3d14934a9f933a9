//! The seccomp filter that makes every call but the traced ones free of stops.

use super::arch::AUDIT_ARCH;
use super::calls::TRACED;

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;

/// A program for `seccomp(2)`: stop with `SECCOMP_RET_TRACE` at the traced calls, allow all
/// others. Calls of another architecture (32-bit code) have other numbers: they are allowed.
pub(super) fn program() -> Vec<libc::sock_filter> {
    let load = |at| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: at,
    };
    let jump_if_equal = |value, jt, jf| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k: value,
    };
    let answer = |value| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: value,
    };
    let count = TRACED.len();
    // Layout: load arch, test it, load number, `count` tests, allow, trace.
    let mut program = vec![load(ARCH_AT), jump_if_equal(AUDIT_ARCH, 0, count as u8 + 1)];
    program.push(load(NUMBER_AT));
    for (at, traced) in TRACED.iter().enumerate() {
        program.push(jump_if_equal(traced.number as u32, (count - at) as u8, 0));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(answer(libc::SECCOMP_RET_TRACE));
    program
}
