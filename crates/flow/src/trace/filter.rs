//! The seccomp filter that lets every call but the traced ones pass without a stop.

use super::arch::AUDIT_ARCH;
use super::calls::{TRACED, Traced};

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
/// The low half of the second argument, on processors that store it first.
const SECOND_ARGUMENT_AT: u32 = 24;

/// A program for `seccomp(2)`: it stops with `SECCOMP_RET_TRACE` at the traced calls (at
/// a few of them only with a second argument that matters), and allows all others. Calls
/// of another architecture (32-bit code) have different numbers, and are allowed.
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
    // Layout: load arch, test it, load number, the tests, allow, trace. The length of
    // each test is the one given here, and a test that matches jumps over those that
    // follow.
    let length = |traced: &Traced| if traced.only_with().is_some() { 3 } else { 1 };
    let mut left: usize = TRACED.iter().map(length).sum();
    let mut program = vec![load(ARCH_AT), jump_if_equal(AUDIT_ARCH, 0, left as u8 + 1)];
    program.push(load(NUMBER_AT));
    for traced in TRACED {
        left -= length(traced);
        let number = traced.number as u32;
        match traced.only_with() {
            None => program.push(jump_if_equal(number, left as u8 + 1, 0)),
            Some(argument) => {
                program.push(jump_if_equal(number, 0, 2));
                program.push(load(SECOND_ARGUMENT_AT));
                program.push(jump_if_equal(argument, left as u8 + 1, left as u8));
            }
        }
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(answer(libc::SECCOMP_RET_TRACE));
    program
}
