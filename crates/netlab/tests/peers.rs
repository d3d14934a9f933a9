//! Runs well-known programs over a wire that loses one packet in a hundred, and over one that
//! also doubles, swaps and delays: they do what they do on a good one. A program that is not
//! installed is skipped, visibly.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    testkit::skip("peers", "a wire needs Linux");
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use libtest_mimic::{Arguments, Trial, run};
    use netlab::wire::{Options, Rules, Wire};

    let arguments = Arguments::from_args();
    if let Err(refusal) = netlab::enter_user_namespace() {
        testkit::skip("peers", &refusal.to_string());
        return ExitCode::SUCCESS;
    }
    if let Err(refusal) = Wire::open(&Rules::default(), Options::default()) {
        testkit::skip("peers", &refusal.to_string());
        return ExitCode::SUCCESS;
    }
    let trials = linux::PEERS
        .iter()
        .map(|(name, needed, rules, trial)| {
            let trial = move || linux::with(name, needed, rules, *trial);
            Trial::test(*name, trial)
        })
        .collect();
    run(&arguments, trials).exit_code()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};

    use libtest_mimic::Failed;
    use netlab::wire::{Host, Options, Rules, Wire};

    type Outcome = Result<(), Failed>;
    type Words = &'static [&'static str];
    type Peer = (&'static str, Words, Words, fn(&Lossy) -> Outcome);

    pub(super) const PEERS: &[Peer] = &[
        ("curl_from_http_server", &["python3", "curl"], LOSES, curl),
        ("curl_over_ipv6", &["python3", "curl"], DOES_ALL, curl_over_ipv6),
        ("ncat_to_ncat", &["ncat"], LOSES, ncat),
        ("ncat_in_disorder", &["ncat"], DOES_ALL, ncat),
        ("node_to_node", &["node"], LOSES, node),
        ("iperf3_to_iperf3", &["iperf3"], LOSES, iperf3),
    ];

    /// With this seed, the seventh packet is already lost, and the fourteenth.
    const LOSES: Words = &["lose 1% seed 22"];
    const DOES_ALL: Words = &[
        "lose 1% seed 22",
        "double segment every 7",
        "swap a>b segment 5 8",
        "swap b>a segment 5 8",
        "delay segment every 9 20ms",
        "flip data every 31 bit 5",
    ];
    const BYTES: usize = 300_000;

    /// A lossy wire, and a folder for what arrives over it.
    pub(super) struct Lossy {
        wire: Wire,
        folder: std::path::PathBuf,
        sent: Vec<u8>,
    }

    pub(super) fn with(
        name: &str,
        needed: &[&str],
        rules: &[&str],
        trial: fn(&Lossy) -> Outcome,
    ) -> Outcome {
        let missing = needed.iter().find(|name| {
            let found = Command::new(name).arg("--version").output();
            found.is_err()
        });
        if let Some(missing) = missing {
            testkit::skip(name, &format!("{missing} is not installed"));
            return Ok(());
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        // Bytes that would show if they came in the wrong order.
        let sent: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        fs::write(folder.join("sent"), &sent)?;
        let wire = Wire::open(&Rules::parse(rules.iter().copied())?, Options::default())?;
        let lossy = Lossy { wire, folder, sent };
        let outcome = trial(&lossy);
        let idle = lossy.wire.idle_rules();
        fs::remove_dir_all(&lossy.folder)?;
        outcome?;
        assert!(idle.is_empty(), "the wire did not do this: {idle:?}");
        Ok(())
    }

    /// A program that ends with the test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl Lossy {
        fn command(&self, host: Host, words: &[&str]) -> Command {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).current_dir(&self.folder).stdin(Stdio::null());
            self.wire.place(&mut command, host);
            command
        }

        /// Starts a server on host b and waits until it listens.
        fn server(&self, words: &[&str], port: u16) -> Result<Running, Failed> {
            let mut command = self.command(Host::B, words);
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            let mut server = Running(child);
            let pid = server.0.id();
            testkit::until("the server listens", || {
                let ended = server.0.try_wait().is_ok_and(|status| status.is_some());
                let waits = netlab::sockets::waits(pid);
                ended || waits.iter().any(|(_, address)| address.port() == port)
            });
            Ok(server)
        }

        /// Runs a client on host a to its end.
        fn client(&self, words: &[&str]) -> Result<Output, Failed> {
            let output = self.command(Host::A, words).output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{words:?}: {:?}: {said}", output.status);
            Ok(output)
        }
    }

    fn curl(lossy: &Lossy) -> Outcome {
        let server = ["python3", "-m", "http.server", "--bind", "10.77.0.2", "8000"];
        let _server = lossy.server(&server, 8000)?;
        let got = lossy.client(&["curl", "-sS", "http://10.77.0.2:8000/sent"])?;
        assert!(got.stdout == lossy.sent, "{} bytes", got.stdout.len());
        Ok(())
    }

    fn curl_over_ipv6(lossy: &Lossy) -> Outcome {
        if !fs::exists("/proc/sys/net/ipv6/conf")? {
            testkit::skip("curl_over_ipv6", "this system has no IPv6");
            // Something must be lost all the same.
            return curl(lossy);
        }
        let server = ["python3", "-m", "http.server", "--bind", "fd77::2", "8000"];
        let _server = lossy.server(&server, 8000)?;
        let got = lossy.client(&["curl", "-sS", "http://[fd77::2]:8000/sent"])?;
        assert!(got.stdout == lossy.sent, "{} bytes", got.stdout.len());
        Ok(())
    }

    /// Sends from the client to the server, which ends when it has everything.
    fn ncat(lossy: &Lossy) -> Outcome {
        let server = "exec ncat -l 10.77.0.2 8001 --recv-only > got";
        let mut server = lossy.server(&["sh", "-c", server], 8001)?;
        let client = "exec ncat --send-only 10.77.0.2 8001 < sent";
        lossy.client(&["sh", "-c", client])?;
        let status = server.0.wait()?;
        assert!(status.success(), "the server: {status:?}");
        let got = fs::read(lossy.folder.join("got"))?;
        assert!(got == lossy.sent, "{} bytes", got.len());
        Ok(())
    }

    fn node(lossy: &Lossy) -> Outcome {
        let server = "const fs = require('fs'), net = require('net');\n\
            net.createServer(s => s.end(fs.readFileSync('sent'))).listen(8002, '10.77.0.2')";
        let _server = lossy.server(&["node", "-e", server], 8002)?;
        let client = "require('net').connect(8002, '10.77.0.2').pipe(process.stdout)";
        let got = lossy.client(&["node", "-e", client])?;
        assert!(got.stdout == lossy.sent, "{} bytes", got.stdout.len());
        Ok(())
    }

    /// The client succeeds once it has the server's report too. How much of what was sent
    /// the server takes before it stops counting is up to the server.
    fn iperf3(lossy: &Lossy) -> Outcome {
        let server = ["iperf3", "-s", "-1", "-B", "10.77.0.2", "-p", "8003"];
        let _server = lossy.server(&server, 8003)?;
        let client = ["iperf3", "-c", "10.77.0.2", "-p", "8003", "-n", "300K", "-J"];
        let said = String::from_utf8(lossy.client(&client)?.stdout)?;
        let sum = said.split("\"sum_sent\"").nth(1).unwrap_or("");
        let bytes = sum.split("\"bytes\":").nth(1).unwrap_or("");
        let bytes = bytes.split(',').next().and_then(|it| it.trim().parse().ok());
        assert!(bytes.is_some_and(|it: u64| it >= 300 * 1024), "{said}");
        Ok(())
    }
}
