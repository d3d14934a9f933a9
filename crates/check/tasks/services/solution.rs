//! The small services of RFC 862 to 868, over TCP and UDP: `solution rfc862`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FROM_1900_TO_1970_S: u64 = 2_208_988_800;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(12345));
    let name = std::env::args().nth(1).unwrap_or_else(|| "rfc862".to_owned());
    match name.strip_suffix("-udp") {
        Some(service) => datagrams(&UdpSocket::bind(address)?, service),
        None => stream(&TcpListener::bind(address)?, &name),
    }
}

fn stream(listener: &TcpListener, service: &str) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((connection, _client)) => {
                let service = service.to_owned();
                // A client that is gone (an error here) ends only its own thread.
                thread::spawn(move || serve(connection, &service));
            }
            // No descriptor is free (EMFILE): the listener stays readable, and trying again
            // at once would keep a processor busy until a client leaves.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn serve(mut connection: TcpStream, service: &str) -> io::Result<()> {
    match service {
        "rfc862" => {
            let mut buffer = [0; 16 * 1024];
            loop {
                let length = connection.read(&mut buffer)?;
                if length == 0 {
                    return Ok(());
                }
                connection.write_all(&buffer[..length])?;
            }
        }
        "rfc863" => discard(connection),
        "rfc864" => {
            // Discard what comes in the meantime, or the client's send would block for ever.
            let incoming = connection.try_clone()?;
            thread::spawn(move || discard(incoming));
            for number in 0.. {
                let letters = (0..72).map(|at| b' ' + ((number + at) % 95) as u8);
                let line: Vec<u8> = letters.chain(*b"\r\n").collect();
                connection.write_all(&line)?;
            }
            Ok(())
        }
        "rfc867" => once(connection, date().as_bytes()),
        _ => once(connection, &seconds()),
    }
}

fn discard(mut connection: TcpStream) -> io::Result<()> {
    io::copy(&mut connection, &mut io::sink()).map(drop)
}

fn once(mut connection: TcpStream, answer: &[u8]) -> io::Result<()> {
    connection.write_all(answer)?;
    connection.shutdown(Shutdown::Write)?;
    // Closing with bytes unread would be a reset.
    discard(connection)
}

fn datagrams(socket: &UdpSocket, service: &str) -> io::Result<()> {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        let answer = match service {
            "rfc862" => buffer[..length].to_vec(),
            "rfc863" => continue,
            "rfc864" => (b' '..=b'~').collect(),
            "rfc867" => date().into_bytes(),
            _ => seconds().to_vec(),
        };
        // One reply that cannot be sent is no reason to stop.
        if let Err(error) = socket.send_to(&answer, client) {
            let _ = writeln!(io::stderr(), "sendto {client}: {error}");
        }
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

fn seconds() -> [u8; 4] {
    // The number overflows 32 bits in 2036, and starts again at 0.
    ((now_s() + FROM_1900_TO_1970_S) as u32).to_be_bytes()
}

/// std has no calendar: count the years, then the months.
fn date() -> String {
    let (mut days, time) = (now_s() / 86_400, now_s() % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (day, hour, minute, second) = (days + 1, time / 3600, time / 60 % 60, time % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC\r\n")
}
