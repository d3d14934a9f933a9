//! Lesson 3's server.

use std::io;
use std::net::UdpSocket;

use crate::{Flaw, escaped, loopback, udp_socket};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    #[cfg(unix)]
    if flaw.is("ignores-interrupt") {
        ignore_interrupt();
    }
    let socket = match udp_socket(flaw) {
        Err(_) if flaw.is("ignores-busy") => return Ok(()),
        socket => socket?,
    };
    let size = match () {
        () if flaw.is("buffer-1024") => 1024,
        () if flaw.is("buffer-16k") => 16 * 1024,
        () => 65_536,
    };
    let mut buffer = vec![0; size];
    let mut number = 0_usize;
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        let mut message = buffer[..length].to_vec();
        if message.is_empty() {
            match () {
                () if flaw.is("empty-is-the-end") => return Ok(()),
                () if flaw.is("skips-empty") => continue,
                () => {}
            }
        }
        if flaw.is("connects") {
            socket.connect(client)?;
        }
        if flaw.is("cuts-at-zero") {
            message.truncate(message.iter().position(|it| *it == 0).unwrap_or(length));
        }
        if flaw.is("strips") {
            message = message.trim_ascii().to_vec();
        }
        if flaw.is("lossy") {
            message = String::from_utf8_lossy(&message).into_owned().into_bytes();
        }
        if flaw.is("raw") {
            println!("Received: {}", String::from_utf8_lossy(&message));
        } else {
            println!("Received: {}", escaped(&message[..message.len().min(100)]));
        }
        let prefix: &[u8] = if flaw.is("no-prefix") { b"" } else { b"Echo: " };
        let mut reply = [prefix, &message].concat();
        if flaw.is("newline") {
            reply.push(b'\n');
        }
        if flaw.is("whole-buffer") && reply.len() < 1030 {
            reply.resize(1030, 0);
        }
        number += 1;
        if flaw.is("drops-tenth") && number.is_multiple_of(10) {
            continue;
        }
        let sent = match () {
            () if flaw.is("other-port") => {
                UdpSocket::bind(loopback(0))?.send_to(&reply, client)
            }
            () if flaw.is("connects") => socket.send(&reply),
            () if flaw.is("cuts") => {
                socket.send_to(&reply[..reply.len().min(65_507)], client)
            }
            () => socket.send_to(&reply, client),
        };
        match sent {
            Err(error) if flaw.is("too-long-ends") => {
                return Err(error);
            }
            Err(error) => eprintln!("sendto {client}: {error}"),
            Ok(_) => {}
        }
        if flaw.is("twice") {
            let _ = socket.send_to(&reply, client);
        }
        if flaw.is("one-only") {
            return Ok(());
        }
    }
}

/// Blocks SIGINT, with a call that std does not have.
#[cfg(unix)]
fn ignore_interrupt() {
    // A shell's `trap '' INT` is inherited across exec(3), so the program starts itself again.
    if std::env::var_os("ZOO_TRAPPED").is_some() {
        return;
    }
    let Ok(own) = std::env::current_exe() else { return };
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new("sh")
        .args(["-c", "trap '' INT; exec \"$0\" udp-echo ignores-interrupt"])
        .arg(own)
        .env("ZOO_TRAPPED", "1")
        .exec();
    eprintln!("sh: {error}");
}
