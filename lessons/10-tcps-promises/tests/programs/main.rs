//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod tcp_client_exchanges;
mod tcp_client_keepalive;
mod tcp_client_pieces;
mod tcp_client_sealed;
mod tcp_client_transfer;
mod tcp_client_user_timeout;
mod tcp_client_words;
mod tcp_server_crash;
mod tcp_server_exchanges;
mod tcp_server_rounds;
mod tcp_server_sealed;
mod tcp_server_sink;
mod tcp_server_words;
