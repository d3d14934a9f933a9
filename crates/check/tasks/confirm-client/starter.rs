//! Says `stored`, though it does not know; fix that.

use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let mut connection = TcpStream::connect(("127.0.0.1", port.unwrap_or(12345)))?;
    connection.write_all(b"store one\n")?;

    // Your part: what does it mean that write_all has returned? How long should we wait?
    let mut buffer = [0; 3];
    let _length = connection.read(&mut buffer)?;
    writeln!(io::stdout(), "stored")?;
    Ok(())
}
