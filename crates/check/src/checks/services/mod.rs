//! Small standard services, RFC 862 to 868, over TCP and over UDP: optional tasks, which can
//! also test real programs.

pub(super) mod chargen;
pub(super) mod daytime;
pub(super) mod discard;
pub(super) mod echo;
pub(super) mod time;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails_because};
use crate::peer::settle;
use crate::subject::Subject;
use crate::task::{Check, Role, Task};
use crate::text::quoted;

const fn tcp(
    name: &'static str,
    statement: &'static str,
    learned: &'static str,
    checks: &'static [Check],
) -> Task {
    Task {
        name,
        lesson: 2,
        optional: true,
        role: Role::TcpServer,
        statement,
        learned,
        checks,
    }
}

const fn udp(
    name: &'static str,
    statement: &'static str,
    learned: &'static str,
    checks: &'static [Check],
) -> Task {
    Task {
        name,
        lesson: 3,
        optional: true,
        role: Role::UdpServer,
        statement,
        learned,
        checks,
    }
}

const ZERO_BYTE: Diagnosis = Diagnosis::Other(
    "zero-byte",
    "a zero byte is sent along, the end of a string in C: send as many bytes as strlen(3) counts",
);
const NOT_ASCII: Diagnosis = Diagnosis::Other(
    "not-ascii",
    "it sends bytes that are not printable ASCII characters, such as letters of UTF-8",
);

fn printable(bytes: &[u8]) -> Outcome {
    match bytes.iter().find(|byte| !matches!(byte, b' '..=b'~' | b'\r' | b'\n')) {
        None => Ok(()),
        Some(byte) => {
            let diagnosis = if *byte == 0 { ZERO_BYTE } else { NOT_ASCII };
            fails_because("printable ASCII characters", quoted(bytes), Some(diagnosis))
        }
    }
}

/// Returns the seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Connects a client that resets its connection before the server has accepted it.
fn one_resets(arena: &mut Arena<'_>, server: &Arc<Subject>) -> Outcome {
    server.freeze()?;
    arena.connect(server)?.reset()?;
    // Make sure that the reset has arrived before the server can look.
    settle(server);
    server.thaw();
    settle(server);
    Ok(())
}
