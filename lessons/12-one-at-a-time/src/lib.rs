//! How the servers of lesson 12 end: the knock of lesson 9, `tcp-server-drain`, with a
//! deadline. None of the calls that lesson 12 is about is here.

use std::net::SocketAddr;

use common::Failure;

/// Knocks on the first SIGINT or SIGTERM: it connects to `ourselves`, so that a waiting
/// accept(2) returns. Whoever connected before the signal is ahead of the knock in the
/// queue. Returns the address from which it will knock; `None` where there are no
/// signals.
///
/// If the process is still there `drain_ms` after the first signal, it ends with exit
/// status 1, and its clients are cut off. A second signal ends it at once.
///
/// # Errors
/// Those of socket(2), bind(2) and sigaction(2), or that no thread could be made.
#[cfg(unix)]
pub fn knock_on_signal(
    mut ourselves: SocketAddr,
    drain_ms: u32,
) -> Result<Option<SocketAddr>, Failure> {
    use std::net::Ipv4Addr;
    use std::thread;

    use common::{During, internet_address};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;
    use socket2::{Domain, Socket, Type};

    // The socket is made now: later there may be no file descriptor for it. It also gets
    // its address now, so that nobody else can come from there.
    let knocker = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    if ourselves.ip().is_unspecified() {
        // A server that listens on every address is reached at this one.
        ourselves.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let any_port = SocketAddr::new(ourselves.ip(), 0);
    knocker.bind(&any_port.into()).during("bind", any_port)?;
    let own = knocker.local_addr().during("getsockname", any_port)?;
    // A full queue is no reason to wait here: the kernel knocks again by itself.
    knocker.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;

    let mut signals = Signals::new([SIGINT, SIGTERM]).during("sigaction", "SIGINT")?;
    let wait = move || {
        let mut closing = false;
        for signal in signals.forever() {
            if closing {
                let _ = emulate_default_handler(signal);
            }
            closing = true;
            // EINPROGRESS is what a socket that does not wait returns.
            let _ = knocker.connect(&ourselves.into());
            let end = move || end_after(drain_ms);
            if thread::Builder::new().spawn(end).is_err() {
                end_after(0);
            }
        }
    };
    thread::Builder::new().spawn(wait).during("start", "a thread")?;
    internet_address(&own).map(Some)
}

/// On Windows there are no signals: Ctrl-C ends the program at once.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn knock_on_signal(_: SocketAddr, _: u32) -> Result<Option<SocketAddr>, Failure> {
    Ok(None)
}

/// The deadline. If all goes well, the process ends before it, and this thread with it.
#[cfg(unix)]
fn end_after(drain_ms: u32) -> ! {
    std::thread::sleep(std::time::Duration::from_millis(drain_ms.into()));
    let reason = format!("not finished within {drain_ms} ms");
    common::report(&Failure::new("wait", "for clients", &reason, "they are cut off"));
    std::process::exit(1)
}
