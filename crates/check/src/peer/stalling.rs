//! A server for a load generator: it replies to lines, stalls, and remembers when.

use std::time::{Duration, Instant};

use super::Connection;
use super::connection::Received;
use crate::outcome::{Outcome, fails};
use crate::patience::{GaveUp, Patience};

/// When the server does not reply.
#[derive(Debug, Clone, Copy)]
pub enum Stall {
    /// Never: it replies at once.
    Never,
    /// For so long, from the moment at which this request has come.
    At(usize, Duration),
    /// Until all requests have come.
    UntilAllHaveCome,
}

/// When requests came, and when their replies were sent.
#[derive(Debug)]
pub struct Served {
    /// When the first request had come.
    pub first_came: Instant,
    /// When the last request had come.
    pub last_came: Instant,
    /// For each request, a moment just before its reply was sent.
    pub replied: Vec<Instant>,
}

impl Connection {
    /// Replies to `count` lines, each with itself, but for a stall.
    ///
    /// # Errors
    /// Fails if fewer lines come.
    pub fn serve_lines(&mut self, count: usize, stall: Stall) -> Outcome<Served> {
        let program = std::sync::Arc::clone(&self.program);
        let (mut came, mut replied) = (Vec::new(), Vec::new());
        let mut unsent = Vec::new();
        let mut stalls_until: Option<Instant> = None;
        let mut buffer = vec![0; 64 * 1024];
        while replied.len() < count {
            let left = stalls_until
                .map(|until| until.saturating_duration_since(Instant::now()))
                .filter(|left| !left.is_zero());
            let mut patience = match left {
                Some(left) => Patience::with_deadline(&program, left),
                None => Patience::new(&program),
            };
            match self.receive(&mut buffer, &mut patience)? {
                Received::Bytes(length) => {
                    let lines = buffer[..length].iter().filter(|byte| **byte == b'\n');
                    came.extend(lines.map(|_| Instant::now()));
                    unsent.extend_from_slice(&buffer[..length]);
                }
                Received::Nothing(GaveUp::Late | GaveUp::Busy) if left.is_some() => {}
                other => {
                    let got =
                        format!("{} of them, then {}", came.len(), self.words(other));
                    return fails(format!("{count} requests, a line each"), got);
                }
            }
            if let Stall::At(request, time) = stall
                && came.len() > request
            {
                stalls_until.get_or_insert_with(|| {
                    self.timeline.does(&self.name, format!("stalls for {time:.1?}"));
                    Instant::now() + time
                });
            }
            let stalls = match stall {
                Stall::UntilAllHaveCome => came.len() < count,
                _ => stalls_until.is_some_and(|until| Instant::now() < until),
            };
            let whole = unsent.iter().rposition(|byte| *byte == b'\n');
            if let (false, Some(end)) = (stalls, whole) {
                replied.resize(came.len(), Instant::now());
                let lines: Vec<u8> = unsent.drain(..=end).collect();
                self.send(&lines)?;
            }
        }
        match (came.first(), came.last()) {
            (Some(first), Some(last)) => {
                Ok(Served { first_came: *first, last_came: *last, replied })
            }
            _ => fails("a request", "none"),
        }
    }
}
