//! The checker's side of a conversation: clients, servers and datagram sockets, which send
//! bytes and wait for the expected answers.

mod beside;
mod company;
mod connection;
mod datagrams;
mod flood;
mod listener;
mod stalling;

use std::time::Duration;

pub(crate) use company::Company;
pub use connection::Connection;
pub use datagrams::Datagrams;
pub use flood::send_all_until_full;
pub use listener::Listener;
pub use stalling::{Served, Stall};

use crate::patience::{GaveUp, Patience};
use crate::subject::Subject;

/// How long a receive waits between two looks at the program.
const LOOK: Duration = Duration::from_millis(2);

fn nothing(why: GaveUp, program: &Subject) -> String {
    match why {
        GaveUp::Rests | GaveUp::Ended => format!("nothing; {}", program.condition()),
        GaveUp::Busy | GaveUp::Late => {
            format!("nothing for a long time; {}", program.condition())
        }
    }
}

/// Waits until the program is idle, as it should be while there is nothing for it to do. If it
/// never is, the report remarks on it.
pub fn rest(program: &Subject, meanwhile: &str) {
    let mut patience = Patience::for_silence(program);
    loop {
        match patience.tick() {
            Some(GaveUp::Busy) => return program.remark_if_restless(meanwhile),
            Some(_) => return,
            None => patience.nap(),
        }
    }
}

/// Waits until the program is idle.
pub fn settle(program: &Subject) {
    let mut patience = Patience::for_silence(program);
    while patience.tick().is_none() {
        patience.nap();
    }
}
