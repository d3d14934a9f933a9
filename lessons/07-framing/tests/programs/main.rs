//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod clients;
mod servers;
mod tcp_both_ends_stream;
mod tcp_client_lengths;
mod tcp_client_lines;
mod tcp_server_lengths;
mod tcp_server_lines;
mod tcp_server_one_recv;

/// The message with its length before it.
fn with_length(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&length.to_be_bytes(), message].concat()
}

/// The message followed by a newline.
fn line(message: &[u8]) -> Vec<u8> {
    [message, b"\n"].concat()
}
