//! Compares the wire with netem, the kernel's own way to lose packets: on both, TCP
//! retransmits what was lost, and not the rest. Skipped where the kernel has no netem.
//! `cargo test -p netlab --test netem -- --nocapture` prints the figures. On Debian's
//! Linux 6.1, three runs lost 79 segments by the rule (its seed is fixed), and 79, 71 and
//! 76 by netem; as many were retransmitted each time.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    testkit::skip("netem", "a wire needs Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use libtest_mimic::{Arguments, Trial, run};

    let arguments = Arguments::from_args();
    if let Err(refusal) = netlab::enter_user_namespace() {
        testkit::skip("netem", &refusal.to_string());
        return ExitCode::SUCCESS;
    }
    let name = "a_wire_costs_tcp_what_netem_costs_it";
    run(&arguments, vec![Trial::test(name, linux::compare)]).exit_code()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::process::{Child, Command, Output, Stdio};
    use std::thread;

    use libtest_mimic::Failed;
    use netlab::wire::{Host, Options, Place, Rules, Wire};

    /// 1400 segments, of which 70 are lost.
    const BYTES: usize = 2_000_000;

    struct Figures {
        lost: u64,
        retransmitted: u64,
    }

    pub(super) fn compare() -> Result<(), Failed> {
        let rules = Rules::parse(["delay 2ms", "lose a>b data 5% seed 7"])?;
        let options = Options { packet_bytes: Some(80), ..Options::default() };
        let wire = match Wire::open(&rules, options) {
            Ok(wire) => wire,
            Err(refusal) => {
                testkit::skip("netem", &refusal.to_string());
                return Ok(());
            }
        };
        let retransmitted = bulk(&wire, "10.77.0.2", || Ok(()))?;
        let lost = wire.sightings().filter(|it| it.place == Place::Lost).count() as u64;
        let by_rule = Figures { lost, retransmitted };
        drop(wire);

        let Some(by_netem) = by_netem()? else { return Ok(()) };
        for (name, it) in [("wire", by_rule), ("netem", by_netem)] {
            let Figures { lost, retransmitted } = it;
            let said = format!("{name}: {lost} lost, {retransmitted} retransmitted");
            // Also when the test passes: the harness captures nothing of it.
            let _ = writeln!(io::stdout(), "{said}");
            assert!((20..200).contains(&lost), "{said}");
            // Each lost segment comes again; a lost question for room in a full window
            // does not. A busy machine makes TCP repeat some that were only late.
            assert!(retransmitted + 5 >= lost && retransmitted <= 3 * lost, "{said}");
        }
        Ok(())
    }

    /// The same hosts, with a cable between them that no program of ours has a hand in.
    fn by_netem() -> Result<Option<Figures>, Failed> {
        let wire = Wire::open(&Rules::default(), Options::default())?;
        // A process on host b, by which `ip` can name that network.
        let mut waits = Command::new("cat");
        waits.stdin(Stdio::piped()).stdout(Stdio::null());
        wire.place(&mut waits, Host::B);
        let there = Ended(waits.spawn()?);
        let pid = there.0.id().to_string();
        let cable = ["ip", "link", "add", "cable", "type", "veth"];
        let peer = ["peer", "name", "cable", "netns", &pid];
        for (host, words) in [
            (Host::A, [&cable[..], &peer].concat().join(" ")),
            (Host::A, "ip address add 10.78.0.1/24 dev cable".into()),
            (Host::B, "ip address add 10.78.0.2/24 dev cable".into()),
        ] {
            on(&wire, host, &words)?;
        }
        for host in [Host::A, Host::B] {
            // One segment a packet; and nothing on the cable that nobody sent.
            on(&wire, host, "ip link set cable gso_max_segs 1 addrgenmode none up")?;
        }
        let delay = "tc qdisc add dev cable root netem limit 10000 delay 2ms";
        let tried = run(&wire, Host::B, delay);
        if let Some(reason) = tried.as_ref().map_or_else(|it| Some(it.to_string()), no) {
            let remedy = "a kernel with CONFIG_NET_SCH_NETEM and iproute2's `tc` have it";
            testkit::skip("netem", &format!("{delay}: {reason}; {remedy}"));
            return Ok(None);
        }
        // Only now is anything lost: the hosts have found each other's addresses.
        let lossy = format!("{delay} loss 5%");
        let retransmitted =
            bulk(&wire, "10.78.0.2", || on(&wire, Host::A, &lossy).map(drop))?;
        let said = on(&wire, Host::A, "tc -s qdisc show dev cable")?;
        let lost = said.split("dropped ").nth(1).and_then(|it| it.split(',').next());
        let lost = lost.and_then(|it| it.parse().ok()).ok_or(said)?;
        Ok(Some(Figures { lost, retransmitted }))
    }

    /// Sends from host a to host b, with `before` done once they are connected. Returns
    /// how many segments the kernel of a retransmitted.
    fn bulk(
        wire: &Wire,
        address: &str,
        before: impl FnOnce() -> Result<(), Failed>,
    ) -> Result<u64, Failed> {
        let listener = at(wire, Host::B, || TcpListener::bind((address, 0)))?;
        let address = listener.local_addr()?;
        let mut client = at(wire, Host::A, || TcpStream::connect(address))?;
        let (mut server, _) = listener.accept()?;
        before()?;
        let earlier = at(wire, Host::A, retransmitted)?;
        let received = thread::spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).map(|_| all)
        });
        let sent: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        client.write_all(&sent)?;
        client.shutdown(Shutdown::Write)?;
        let received = testkit::within("everything arrives", || received.join());
        let received = received.map_err(|_| "the reader panicked")??;
        assert!(received == sent, "{} bytes arrived", received.len());
        Ok(at(wire, Host::A, retransmitted)? - earlier)
    }

    /// `RetransSegs` of the network of the calling thread.
    fn retransmitted() -> io::Result<u64> {
        let text = fs::read_to_string("/proc/thread-self/net/snmp")?;
        let mut rows = text.lines().filter(|line| line.starts_with("Tcp:"));
        let mut row = || rows.next().unwrap_or("").split(' ');
        let (names, values) = (row(), row());
        let found = names.zip(values).find(|(name, _)| *name == "RetransSegs");
        found
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(|| io::Error::other(text.clone()))
    }

    fn at<T: Send>(
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

    fn run(wire: &Wire, host: Host, words: &str) -> io::Result<Output> {
        let mut words = words.split(' ');
        let mut command = Command::new(words.next().unwrap_or(""));
        command.args(words);
        wire.place(&mut command, host);
        command.output()
    }

    /// What a program said when it failed.
    fn no(output: &Output) -> Option<String> {
        let said = String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then(|| said.trim().to_owned())
    }

    fn on(wire: &Wire, host: Host, words: &str) -> Result<String, Failed> {
        let output = run(wire, host, words)?;
        match no(&output) {
            Some(reason) => Err(format!("{words}: {reason}").into()),
            None => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        }
    }

    /// A program that ends with the test.
    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
