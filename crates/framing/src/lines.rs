//! A newline ends a message.

use crate::Fault;

/// Takes messages out of a stream in which a newline (0x0a) ends each.
///
/// A message may be empty. It cannot hold a newline. `\r` is a byte like any other.
#[derive(Debug)]
pub struct Lines {
    /// What has arrived and has not been taken. Its first `searched` bytes hold no newline.
    held: Vec<u8>,
    searched: usize,
    most_bytes: usize,
}

impl Lines {
    /// For messages of up to `most_bytes` bytes, the newline not counted.
    ///
    /// Without such a limit a peer that never sends a newline fills our memory.
    pub fn new(most_bytes: usize) -> Self {
        Self { held: Vec::new(), searched: 0, most_bytes }
    }

    /// Adds what one recv(2) returned. Take all whole messages before you push again: then no
    /// more is held than one message and the result of one recv.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next message, without its newline; `None` until it is whole.
    ///
    /// # Errors
    /// [`Fault::TooLong`]: more than the allowed number of bytes, and no newline.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let newline = self.held[self.searched..].iter().position(|byte| *byte == b'\n');
        let length = newline.map_or(self.held.len(), |found| self.searched + found);
        if length > self.most_bytes {
            return Err(Fault::TooLong { most_bytes: self.most_bytes, bytes: None });
        }
        if newline.is_none() {
            // What was searched once is not searched again when more has arrived.
            self.searched = length;
            return Ok(None);
        }
        let mut message: Vec<u8> = self.held.drain(..=length).collect();
        message.pop();
        self.searched = 0;
        Ok(Some(message))
    }

    /// Call this at the end of the stream.
    ///
    /// # Errors
    /// [`Fault::CutShort`]: the last message has no newline. It is not a message.
    pub fn end(&self) -> Result<(), Fault> {
        match self.held.len() {
            0 => Ok(()),
            came_bytes => Err(Fault::CutShort { came_bytes }),
        }
    }
}

/// The message as it is sent: followed by its newline.
///
/// # Errors
/// [`Fault::HoldsNewline`]: the peer would take it for two messages.
pub fn with_newline(message: &[u8]) -> Result<Vec<u8>, Fault> {
    if message.contains(&b'\n') {
        return Err(Fault::HoldsNewline);
    }
    Ok([message, b"\n"].concat())
}
