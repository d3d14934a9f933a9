//! Tests the capture, each trial on a network of its own. The harness is custom, because
//! a user namespace must be entered while the process has one thread.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    testkit::skip("capture", "a private network needs Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use libtest_mimic::{Arguments, Trial, run};

    let arguments = Arguments::from_args();
    if let Err(refusal) = netlab::enter_user_namespace() {
        testkit::skip("capture", &refusal.to_string());
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        Trial::test("a_datagram_is_captured_once", linux::a_datagram_is_captured_once),
        Trial::test("a_dropped_capture_is_closed", linux::a_dropped_capture_is_closed),
    ];
    run(&arguments, trials).exit_code()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    use libtest_mimic::Failed;
    use netlab::PrivateNetwork;
    use netlab::capture::{Capture, CaptureSize};

    pub(super) fn a_datagram_is_captured_once() -> Result<(), Failed> {
        PrivateNetwork::enter()?;
        let mut capture = Capture::open(CaptureSize::default())?;
        let receiver = UdpSocket::bind("127.0.0.1:0")?;
        UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", receiver.local_addr()?)?;
        receiver.recv(&mut [0; 5])?;

        let mut packets = Vec::new();
        capture.drain(|it| packets.push((it.length, it.bytes.ends_with(b"hello"))));
        // The IPv4 and UDP headers are 28 bytes.
        assert_eq!(packets, [(28 + 5, true)]);
        assert_eq!(capture.lost(), 0);
        Ok(())
    }

    /// The kernel closes it in its own time.
    pub(super) fn a_dropped_capture_is_closed() -> Result<(), Failed> {
        PrivateNetwork::enter()?;
        let capture = Capture::open(CaptureSize::default())?;
        assert_eq!(open_captures()?, 1);
        drop(capture);
        let deadline = Instant::now() + Duration::from_secs(20);
        while open_captures()? > 0 {
            assert!(Instant::now() < deadline, "still open after 20 s");
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The `AF_PACKET` sockets on this thread's network: `packet(7)`.
    fn open_captures() -> Result<usize, Box<dyn Error>> {
        let table = std::fs::read_to_string("/proc/thread-self/net/packet")?;
        Ok(table.lines().skip(1).count())
    }
}
