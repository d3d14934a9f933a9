//! A proxy that copies both ways: two threads per client, one for each direction.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let port = |name: &str, default: u16| {
        std::env::var(name).ok().and_then(|port| port.parse().ok()).unwrap_or(default)
    };
    let listener = TcpListener::bind(("127.0.0.1", port("PORT", 12345)))?;
    let upstream = port("UPSTREAM", 12346);
    loop {
        let (client, address) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = serve(&client, upstream) {
                let _ = writeln!(io::stderr(), "serve {address}: {error}");
            }
        });
    }
}

fn serve(client: &TcpStream, upstream: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", upstream))?;
    thread::scope(|scope| {
        let there = scope.spawn(|| copy(client, &server));
        let back = copy(&server, client);
        // Both directions have ended, each by itself.
        back.and(there.join().unwrap_or(Ok(())))
    })
}

/// Passes on everything from one side, and then its end.
fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    match io::copy(&mut from, &mut to) {
        // The other direction is still open: half-close.
        Ok(_) => to.shutdown(Shutdown::Write),
        Err(error) => {
            // One of the two is gone. The other direction, which may be waiting, must notice.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            Err(error)
        }
    }
}
