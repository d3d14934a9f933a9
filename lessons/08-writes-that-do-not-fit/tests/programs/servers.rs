//! The two servers that echo a whole stream.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use testkit::Program;

pub(crate) fn start(
    program: &str,
    arguments: &[&str],
) -> (Program, TcpStream, SocketAddr) {
    let mut program = Program::run(program, &[&["--port", "0"], arguments].concat());
    let client = testkit::connect(program.port());
    let address = client.local_addr().expect("local address");
    assert!(program.line().starts_with("Connected by "));
    (program, client, address)
}

pub(crate) fn stream_comes_back(program: &str) {
    for bytes in [0, 1, 100_000] {
        let (program, mut client, _) = start(program, &[]);
        let sent: Vec<u8> = (0..=255).cycle().take(bytes).collect();
        client.write_all(&sent).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
        let mut came = Vec::new();
        client.read_to_end(&mut came).expect("receive");
        assert!(came == sent, "{bytes} bytes");
        let finished = program.finish();
        let last = finished.stdout.lines().last().expect("a line").to_owned();
        assert!(
            last.starts_with(&format!("Echoed {bytes} bytes; peak memory: ")),
            "{last}"
        );
        finished.expect(0, &finished.stdout, "");
    }
}

/// With a timeout set, a pause ends a send that waits with EINTR (signal(7)).
#[cfg(target_os = "linux")]
pub(crate) fn server_is_paused_while_it_waits_for_room(program: &str) {
    let (program, mut client, _) = start(program, &["--timeout-ms", "60000"]);
    let mut sending = client.try_clone().expect("clone the connection");
    let sender = std::thread::spawn(move || {
        sending.write_all(&vec![b'x'; 16 << 20]).expect("send");
        sending.shutdown(Shutdown::Write).expect("half-close");
    });
    for _ in 0..20 {
        program.pause_and_resume();
    }
    let mut came = Vec::new();
    client.read_to_end(&mut came).expect("receive");
    assert_eq!(came.len(), 16 << 20);
    sender.join().expect("the sender");
    let finished = program.finish();
    finished.expect(0, &finished.stdout, "");
}
