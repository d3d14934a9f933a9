//! Each message is preceded by its length.

use crate::Fault;

/// How many bytes the length takes.
const LENGTH_BYTES: usize = 4;

/// Takes messages out of a stream in which each is preceded by its length: four bytes, the most
/// significant first ("network byte order", as in the headers of TCP and IP).
///
/// A message may be empty, and may hold any bytes.
#[derive(Debug)]
pub struct Lengths {
    /// What has arrived and has not been taken.
    held: Vec<u8>,
    most_bytes: usize,
}

impl Lengths {
    /// For messages of up to `most_bytes` bytes, the length itself not counted.
    ///
    /// Without such a limit four bytes from a stranger make us wait for 4 GiB.
    pub fn new(most_bytes: usize) -> Self {
        Self { held: Vec::new(), most_bytes }
    }

    /// Adds what one recv(2) returned. Take all whole messages before you push again: then no
    /// more is held than one message and the result of one recv.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next message, without its length; `None` until it is whole.
    ///
    /// # Errors
    /// [`Fault::TooLong`]: it claims to be longer than is allowed. This is known before a byte
    /// of it has arrived, and no memory is set aside for it.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        // The length itself may be cut: one, two or three of its bytes say nothing.
        let Some((length, rest)) = self.held.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.most_bytes {
            let most_bytes = self.most_bytes;
            return Err(Fault::TooLong { most_bytes, bytes: Some(length) });
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        let message = message.to_vec();
        self.held.drain(..LENGTH_BYTES + length);
        Ok(Some(message))
    }

    /// Call this at the end of the stream.
    ///
    /// # Errors
    /// [`Fault::CutShort`]: only part of a message, or of its length, has arrived.
    pub fn end(&self) -> Result<(), Fault> {
        match self.held.len() {
            0 => Ok(()),
            came_bytes => Err(Fault::CutShort { came_bytes }),
        }
    }
}

/// The message as it is sent: preceded by its length.
///
/// # Errors
/// [`Fault::TooLong`]: its length does not fit in four bytes.
pub fn with_length(message: &[u8]) -> Result<Vec<u8>, Fault> {
    let most_bytes = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    let length = u32::try_from(message.len())
        .map_err(|_| Fault::TooLong { most_bytes, bytes: Some(message.len()) })?;
    Ok([&length.to_be_bytes(), message].concat())
}
