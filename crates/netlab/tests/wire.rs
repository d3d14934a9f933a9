//! Tests the wire, with real kernels at both ends. The harness is custom, because a user
//! namespace must be entered while the process has one thread.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    testkit::skip("wire", "a wire needs Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use libtest_mimic::{Arguments, Trial, run};
    use netlab::wire::{Card, Options, Rules, Wire};

    let arguments = Arguments::from_args();
    if let Err(refusal) = netlab::enter_user_namespace() {
        testkit::skip("wire", &refusal.to_string());
        return ExitCode::SUCCESS;
    }
    let mut trials = Vec::new();
    for (name, card) in [("tun", Card::Tun), ("veth", Card::Veth)] {
        let options = Options { packet_bytes: Some(2000), card };
        if let Err(refusal) = Wire::open(&Rules::default(), options) {
            testkit::skip(name, &refusal.to_string());
            continue;
        }
        for (what, trial) in linux::TRIALS {
            trials.push(Trial::test(format!("{name}::{what}"), move || trial(card)));
        }
    }
    run(&arguments, trials).exit_code()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::thread;
    use std::time::{Duration, Instant};

    use libtest_mimic::Failed;
    use netlab::wire::{Card, Host, Options, Place, Rules, Sighting, Wire};

    type Outcome = Result<(), Failed>;
    type Named = (&'static str, fn(Card) -> Outcome);

    pub(super) const TRIALS: &[Named] = &[
        ("bytes_arrive_as_they_were_sent", bytes_arrive_as_they_were_sent),
        ("ipv6_arrives", ipv6_arrives),
        ("a_lost_segment_comes_again", a_lost_segment_comes_again),
        ("a_flipped_bit_is_dropped_by_the_checksum", a_flipped_bit_is_dropped),
        ("exchanged_words_reach_the_program", exchanged_words_reach_the_program),
        ("a_doubled_datagram_arrives_twice", a_doubled_datagram_arrives_twice),
        ("swapped_datagrams_change_places", swapped_datagrams_change_places),
        ("a_datagram_without_a_fragment_is_lost", a_datagram_without_a_fragment_is_lost),
        ("a_router_cuts_what_it_may_cut", a_router_cuts_what_it_may_cut),
        ("an_unreachable_host_is_an_error", an_unreachable_host_is_an_error),
        ("a_narrow_path_is_learned", a_narrow_path_is_learned),
        ("a_delay_is_kept_and_order_too", a_delay_is_kept_and_order_too),
        ("a_delay_is_kept_whoever_looks", a_delay_is_kept_whoever_looks),
        ("a_wrong_setting_is_named", a_wrong_setting_is_named),
        ("nothing_is_lost_in_silence", nothing_is_lost_in_silence),
        ("nothing_is_lost_of_large_pieces", nothing_is_lost_of_large_pieces),
        ("plain_datagrams_arrive_whole", plain_datagrams_arrive_whole),
    ];

    fn wire(card: Card, rules: &str) -> Result<Wire, Failed> {
        let rules = Rules::parse(rules.lines())?;
        Ok(Wire::open(&rules, Options { packet_bytes: Some(2000), card })?)
    }

    /// Runs a closure on a host.
    fn on<T: Send>(
        wire: &Wire,
        host: Host,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                wire.enter(host)?;
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    const DEADLINE: Option<Duration> = Some(Duration::from_secs(20));

    /// The two ends of a connection: the client's, then the server's.
    fn connection(wire: &Wire) -> io::Result<(TcpStream, TcpStream)> {
        let listener = on(wire, Host::B, || TcpListener::bind("10.77.0.2:0"))?;
        let address = listener.local_addr()?;
        let client = on(wire, Host::A, || TcpStream::connect(address))?;
        let (server, _) = listener.accept()?;
        for end in [&client, &server] {
            end.set_read_timeout(DEADLINE)?;
            end.set_nodelay(true)?;
        }
        Ok((client, server))
    }

    fn datagram_sockets(wire: &Wire) -> io::Result<(UdpSocket, UdpSocket, SocketAddr)> {
        let client = on(wire, Host::A, || UdpSocket::bind("10.77.0.1:0"))?;
        let server = on(wire, Host::B, || UdpSocket::bind("10.77.0.2:0"))?;
        client.set_read_timeout(DEADLINE)?;
        server.set_read_timeout(DEADLINE)?;
        let address = server.local_addr()?;
        Ok((client, server, address))
    }

    fn bytes_arrive_as_they_were_sent(card: Card) -> Outcome {
        let wire = wire(card, "")?;
        let (mut client, mut server) = connection(&wire)?;
        client.write_all(b"hello")?;
        let mut came = [0; 5];
        server.read_exact(&mut came)?;
        assert_eq!(&came, b"hello");
        let seen: Vec<Sighting> = wire.sightings().collect();
        let left = seen.iter().filter(|it| it.place == Place::Left).count();
        let arrived = seen.iter().filter(|it| it.place == Place::Arrived).count();
        assert!(left >= 4 && left == arrived, "{left} {arrived}");
        // If the machine stands still for long, a kernel repeats something, and counts that.
        let remarks = wire.remarks();
        assert!(remarks.iter().all(|it| it.starts_with("The kernel of ")), "{remarks:?}");
        Ok(())
    }

    fn ipv6_arrives(card: Card) -> Outcome {
        let wire = wire(card, "")?;
        let server = match on(&wire, Host::B, || UdpSocket::bind("[fd77::2]:0")) {
            Ok(server) => server,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        server.set_read_timeout(DEADLINE)?;
        let address = server.local_addr()?;
        on(&wire, Host::A, || UdpSocket::bind("[fd77::1]:0")?.send_to(b"six", address))?;
        let mut came = [0; 9];
        assert_eq!(server.recv(&mut came)?, 3);
        Ok(())
    }

    fn a_lost_segment_comes_again(card: Card) -> Outcome {
        let wire = wire(card, "lose a>b data 1")?;
        let (mut client, mut server) = connection(&wire)?;
        let start = Instant::now();
        client.write_all(b"hello")?;
        server.read_exact(&mut [0; 5])?;
        assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
        let again: Vec<Sighting> = wire
            .sightings()
            .filter(|it| it.again && it.place == Place::Arrived)
            .collect();
        // If the machine stands still for long, it comes more than once.
        let first = again.first().ok_or("it never came again")?;
        assert_eq!(first.cause, Some("TCPLossProbes"));
        let remarks = wire.remarks();
        assert!(
            remarks[0].starts_with("The kernel of a counted TCPLossProbes "),
            "{remarks:?}"
        );
        Ok(())
    }

    fn a_flipped_bit_is_dropped(card: Card) -> Outcome {
        let wire = wire(card, "flip a>b data 1 bit 9")?;
        let (mut client, mut server) = connection(&wire)?;
        client.write_all(b"hello")?;
        let mut came = [0; 5];
        server.read_exact(&mut came)?;
        assert_eq!(&came, b"hello");
        let remarks = wire.remarks().join("\n");
        assert!(remarks.contains("kernel of b counted TcpInCsumErrors 1"), "{remarks}");
        Ok(())
    }

    fn exchanged_words_reach_the_program(card: Card) -> Outcome {
        let wire = wire(card, "flip-checksummed a>b data 1")?;
        let (mut client, mut server) = connection(&wire)?;
        client.write_all(b"pay 100 to 0042.")?;
        let mut came = [0; 16];
        server.read_exact(&mut came)?;
        assert_eq!(&came, b"y pa100 to 0042.");
        Ok(())
    }

    fn a_doubled_datagram_arrives_twice(card: Card) -> Outcome {
        let wire = wire(card, "double a>b datagram 1")?;
        let (client, server, address) = datagram_sockets(&wire)?;
        client.send_to(b"one", address)?;
        client.send_to(b"two", address)?;
        let mut came = Vec::new();
        for _ in 0..3 {
            let mut buffer = [0; 9];
            let length = server.recv(&mut buffer)?;
            came.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        assert_eq!(came, ["one", "one", "two"]);
        Ok(())
    }

    fn swapped_datagrams_change_places(card: Card) -> Outcome {
        let wire = wire(card, "swap a>b datagram 1 2")?;
        let (client, server, address) = datagram_sockets(&wire)?;
        client.send_to(b"one", address)?;
        client.send_to(b"two", address)?;
        let mut came = [0; 3];
        server.recv(&mut came)?;
        assert_eq!(&came, b"two");
        server.recv(&mut came)?;
        assert_eq!(&came, b"one");
        Ok(())
    }

    fn a_datagram_without_a_fragment_is_lost(card: Card) -> Outcome {
        let wire = wire(card, "lose a>b fragment 2")?;
        let (client, server, address) = datagram_sockets(&wire)?;
        client.send_to(&[b'x'; 4000], address)?;
        client.send_to(b"after", address)?;
        let mut came = [0; 5000];
        assert_eq!(server.recv(&mut came)?, 5);
        let lost = wire.sightings().filter(|it| it.place == Place::Lost).count();
        assert_eq!(lost, 1);
        Ok(())
    }

    fn a_router_cuts_what_it_may_cut(card: Card) -> Outcome {
        let wire =
            wire(card, "set ip_no_pmtu_disc 1\nmtu 1000 a>b\nlose a>b fragment 4")?;
        let (client, server, address) = datagram_sockets(&wire)?;
        // The first arrives in two pieces; the second loses one of its two.
        for length in [1400, 1300, 900] {
            client.send_to(&vec![b'x'; length], address)?;
        }
        let mut came = [0; 5000];
        assert_eq!((server.recv(&mut came)?, server.recv(&mut came)?), (1400, 900));
        assert!(wire.idle_rules().is_empty(), "{:?}", wire.idle_rules());
        let pieces =
            wire.sightings().filter(|it| it.routed && it.place == Place::Arrived);
        assert_eq!(pieces.map(|it| it.length).collect::<Vec<_>>(), [996, 452, 996]);
        Ok(())
    }

    fn an_unreachable_host_is_an_error(card: Card) -> Outcome {
        let wire = wire(card, "answer a>b unreachable")?;
        let failed = on(&wire, Host::A, || {
            let address = SocketAddr::from(([10, 77, 0, 2], 1));
            TcpStream::connect_timeout(&address, Duration::from_secs(10))
        });
        let error = failed.err().ok_or("it connected")?;
        assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);
        Ok(())
    }

    fn a_narrow_path_is_learned(card: Card) -> Outcome {
        let wire = wire(card, "mtu 1000 a>b")?;
        let (mut client, mut server) = connection(&wire)?;
        client.write_all(&[b'x'; 3000])?;
        server.read_exact(&mut [0; 3000])?;
        let arrived = wire
            .sightings()
            .filter(|it| it.place == Place::Arrived && it.from == Host::A);
        assert!(arrived.map(|it| it.length).max().is_some_and(|it| it <= 1000));
        Ok(())
    }

    fn a_delay_is_kept_and_order_too(card: Card) -> Outcome {
        let wire = wire(card, "delay a>b 20ms\ndelay a>b datagram 1 500ms")?;
        let (client, server, address) = datagram_sockets(&wire)?;
        let start = Instant::now();
        client.send_to(b"one", address)?;
        client.send_to(b"two", address)?;
        let mut came = [0; 3];
        server.recv(&mut came)?;
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(&came, b"two");
        server.recv(&mut came)?;
        assert!(start.elapsed() >= Duration::from_millis(520));
        Ok(())
    }

    /// Whoever asks whether the wire is at rest may be the one to take a packet from its
    /// card; the forwarder must still deliver it on time.
    fn a_delay_is_kept_whoever_looks(card: Card) -> Outcome {
        let wire = wire(card, "delay 5ms")?;
        let (client, server, address) = datagram_sockets(&wire)?;
        for _ in 0..200 {
            client.send_to(b"one", address)?;
            while !wire.is_at_rest() {}
            assert_eq!(server.recv(&mut [0; 3])?, 3);
        }
        Ok(())
    }

    fn a_wrong_setting_is_named(card: Card) -> Outcome {
        let error = wire(card, "set tcp_no_such_thing 1").err().ok_or("it was set")?;
        let message = error.message().unwrap_or_default().to_owned();
        assert!(message.contains("set tcp_no_such_thing 1"), "{message}");
        Ok(())
    }

    fn nothing_is_lost_in_silence(card: Card) -> Outcome {
        // A rule that looks at every packet, and matches none.
        bulk_arrives(card, "lose a>b data 1000000000", 10_000)
    }

    /// Includes datagrams that are fragmented.
    fn plain_datagrams_arrive_whole(card: Card) -> Outcome {
        let wire = Wire::open(&Rules::default(), Options { packet_bytes: None, card })?;
        let (client, server, address) = datagram_sockets(&wire)?;
        let mut came = vec![0; 65_535];
        for length in [0, 1, 1400, 9000, 60_000] {
            client.send_to(&vec![b'x'; length], address)?;
            assert_eq!(server.recv(&mut came)?, length);
        }
        Ok(())
    }

    /// Where no rule looks at packets, a TUN device hands over large pieces.
    fn nothing_is_lost_of_large_pieces(card: Card) -> Outcome {
        bulk_arrives(card, "", 100)
    }

    /// Sends more than any queue holds, in at least that many packets.
    fn bulk_arrives(card: Card, rules: &str, packets: u64) -> Outcome {
        const BYTES: usize = 20_000_000;
        let rules = Rules::parse(rules.lines())?;
        let wire = Wire::open(&rules, Options { packet_bytes: None, card })?;
        let (mut client, mut server) = connection(&wire)?;
        thread::scope(|scope| {
            scope.spawn(move || {
                let sent = client.write_all(&vec![7; BYTES]);
                drop(client);
                sent
            });
            let mut received = 0;
            let mut buffer = vec![0; 1 << 16];
            loop {
                match server.read(&mut buffer)? {
                    0 => break,
                    length => received += length,
                }
            }
            assert_eq!(received, BYTES);
            Ok::<_, io::Error>(())
        })?;
        let counts = wire.counts();
        assert_eq!((counts.overrun, counts.refused), ([0, 0], 0), "{counts:?}");
        assert!(counts.sent[0] >= packets, "{counts:?}");
        // A retransmitted segment would be one that was lost. On a veth pair, it may also
        // have been overtaken by one that another processor sent; and if the machine
        // stands still for long, a kernel sends a probe.
        let remarks = wire.remarks().join("; ");
        assert!(card == Card::Veth || !remarks.contains("FastRetrans"), "{remarks}");
        Ok(())
    }
}
