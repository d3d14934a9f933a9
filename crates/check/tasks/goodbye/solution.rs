//! Echoes what comes from each client, says goodbye to each, and shuts down gracefully.
//!
//! Three kinds of threads: one accepts, one serves each client, one waits for SIGTERM. What
//! happens in them is reported to `main`, which counts the clients.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

// Windows has no SIGTERM.
#[cfg(unix)]
use signal_hook::{consts::SIGTERM, iterator::Signals};

/// How long the last clients may take.
const DRAIN: Duration = Duration::from_secs(1);

enum News {
    Client(TcpStream),
    Done,
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no signals"))]
    Terminate,
}

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let (sender, news) = mpsc::channel();

    #[cfg(unix)]
    {
        let mut signals = Signals::new([SIGTERM])?;
        let to_main = sender.clone();
        thread::spawn(move || {
            for _ in signals.forever() {
                let _ = to_main.send(News::Terminate);
            }
        });
    }
    let (accepting, to_main) = (listener.try_clone()?, sender.clone());
    thread::spawn(move || accept(&accepting, &to_main));

    let mut clients = 0_usize;
    let mut until: Option<Instant> = None;
    while until.is_none() || clients > 0 {
        let left = match until {
            Some(until) => until.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        // Timeout: the last clients' time is up, and our exit cuts them off.
        let Ok(what) = news.recv_timeout(left) else { break };
        match what {
            News::Client(connection) => {
                clients += 1;
                let to_main = sender.clone();
                thread::spawn(move || {
                    if let Err(error) = serve(connection) {
                        let _ = writeln!(io::stderr(), "serve a client: {error}");
                    }
                    let _ = to_main.send(News::Done);
                });
            }
            News::Done => clients -= 1,
            News::Terminate => {
                until = until.or(Some(Instant::now() + DRAIN));
                // On Linux this ends the listening, even of the copy, and wakes up accept(2).
                socket2::SockRef::from(&listener).shutdown(Shutdown::Both)?;
            }
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, to_main: &Sender<News>) {
    while let Ok((connection, _client)) = listener.accept() {
        if to_main.send(News::Client(connection)).is_err() {
            return;
        }
    }
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut count = 0;
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        count += length;
        connection.write_all(&buffer[..length])?;
    }
    // The client will send nothing more, but its other direction is open: half-close.
    connection.write_all(format!("bye {count}\n").as_bytes())
}
