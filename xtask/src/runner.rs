//! Runs scenes, and compares their output with the page.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use netlab::Network;

use crate::Error;
use crate::interrupt;
use crate::page::{Diagnostic, Page, Scene, Terminal};
use crate::run::{self, Programs, RunLimits, Shown, Surroundings};
use crate::transcript::{self, Difference};
use crate::verdict::{Mismatch, Verdict, Verified, shortened};

/// Chooses the network of this process's runs, and prepares the process for them. If
/// there is no private network, a note on standard error says so.
///
/// Call it while the process has a single thread.
///
/// # Errors
/// Fails if signals cannot be watched.
pub fn choose_network(host: bool) -> Result<Network, Error> {
    let network = Network::choose(host, |refusal| {
        let _ = writeln!(io::stderr(), "note: {refusal}");
    });
    interrupt::watch().map_err(Error::io("watch for signals"))?;
    Ok(network)
}

/// Runs scenes, with these programs, on this network, within these limits.
#[derive(Debug, Clone)]
pub struct Runner {
    /// Where commands are found.
    pub programs: Programs,
    /// The network that they use.
    pub network: Network,
    /// The limits of a run.
    pub limits: RunLimits,
}

impl Runner {
    /// Creates a runner with the default limits.
    pub fn new(programs: Programs, network: Network) -> Runner {
        Runner { programs, network, limits: RunLimits::default() }
    }

    /// Returns what `scene`, run in `folder`, needs and this machine lacks: a program, for
    /// instance, or IPv6 if a line has an IPv6 address.
    pub fn lacks(&self, scene: &Scene, folder: &Path) -> Option<String> {
        if scene.linux && cfg!(not(target_os = "linux")) {
            return Some("what it shows is specific to Linux".to_owned());
        }
        let mut steps = scene.terminals.iter().flat_map(|terminal| &terminal.steps);
        let missing = steps.find_map(|step| {
            let missing = self.programs.resolve(&step.words, folder).err()?;
            missing.is_not_installed().then(|| missing.to_string())
        });
        if self.network == Network::Host
            && let Err(error) = loopback()
        {
            let why = format!(
                "the loopback interface is down ({error}): sudo ip link set lo up"
            );
            return Some(missing.unwrap_or(why));
        }
        let mut steps = scene.terminals.iter().flat_map(|terminal| &terminal.steps);
        if self.network == Network::Host
            && steps.any(|step| step.words.first().is_some_and(|word| word == "unshare"))
        {
            let why =
                "it makes a network of its own, which is not allowed here".to_owned();
            return Some(missing.unwrap_or(why));
        }
        if scene.wire.is_some()
            && let Some(why) = self.refuses_wire()
        {
            return Some(missing.unwrap_or(why));
        }
        let mut lines = scene.terminals.iter().flat_map(|terminal| &terminal.lines);
        missing.or_else(|| {
            let ipv6 = lines.any(|line| transcript::names_ipv6(line));
            let why = || "the loopback interface has no IPv6 address, ::1".to_owned();
            (ipv6 && !self.network.has_ipv6()).then(why)
        })
    }

    /// Returns why there can be no wire on this machine, if that is so.
    fn refuses_wire(&self) -> Option<String> {
        static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
        if self.network == Network::Host {
            return Some("a wire needs a private network".to_owned());
        }
        REFUSAL.get_or_init(|| run::wire(&[]).err()).clone()
    }

    /// Runs `scene` of `page` and compares its output. Passes each line to `show` as it
    /// arrives.
    pub fn verify(
        &self,
        root: &Path,
        page: &Page,
        scene: &Scene,
        show: &mut (dyn FnMut(Shown<'_>) + Send),
    ) -> Verified {
        let stopped = |line, message: String, outcome| {
            let verdict =
                Verdict::Stopped(Diagnostic { path: page.path.clone(), line, message });
            Verified { verdict, outcome }
        };
        let first_line = scene.terminals.first().map_or(1, |terminal| terminal.line);
        let folder = root.join(page.path.parent().unwrap_or(Path::new("")));
        if let Some(why) = self.lacks(scene, &folder) {
            return Verified { verdict: Verdict::Skipped(why), outcome: None };
        }
        for step in scene.terminals.iter().flat_map(|terminal| &terminal.steps) {
            if let Err(missing) = self.programs.resolve(&step.words, &folder) {
                return stopped(step.line, missing.to_string(), None);
            }
        }
        // Only one run at a time on the host's network. Closing the file releases the lock.
        let mut _turn = None;
        if self.network == Network::Host {
            match turn(&self.programs.binaries) {
                Ok(file) => _turn = Some(file),
                Err(error) => {
                    let message = format!("wait for the host's network: {error}");
                    return stopped(first_line, message, None);
                }
            }
            if let Some((line, port)) = busy_port(scene) {
                return stopped(line, in_use(port), None);
            }
        }
        let surroundings = Surroundings {
            folder: &folder,
            programs: &self.programs,
            network: self.network,
            limits: self.limits,
        };
        let outcome = match run::run(scene, surroundings, show) {
            Ok(outcome) => outcome,
            Err(error) => {
                let error = netlab::with_remedy(&error);
                return stopped(first_line, format!("run the scene: {error}"), None);
            }
        };
        if let Some(failure) = &outcome.failure {
            return stopped(failure.line, failure.to_string(), Some(outcome));
        }
        let mismatches = mismatches(page, scene, &outcome.terminals);
        let verdict = if mismatches.is_empty() {
            Verdict::Matches
        } else {
            Verdict::Differs(mismatches)
        };
        Verified { verdict, outcome: Some(outcome) }
    }
}

/// Returns the terminals of `scene` whose output, `came`, differs from the page.
fn mismatches(page: &Page, scene: &Scene, came: &[Vec<String>]) -> Vec<Mismatch> {
    let expected: Vec<Vec<String>> =
        scene.terminals.iter().map(|terminal| terminal.lines.clone()).collect();
    let of = match &*scene.name {
        "" => String::new(),
        name => format!(", in scene {name}"),
    };
    let differences = transcript::compare(&expected, came).into_iter();
    let mismatch = |(difference, terminal): (Option<Difference>, &Terminal)| {
        let Difference { line, diff } = difference?;
        let name = &terminal.name;
        let fault = Diagnostic {
            path: page.path.clone(),
            line: terminal.line + line,
            message: format!("terminal {name} does not show what the page does{of}"),
        };
        let diff = diff.lines().map(|line| shortened(line) + "\n").collect();
        Some(Mismatch { fault, diff })
    };
    differences.zip(&scene.terminals).filter_map(mismatch).collect()
}

/// Checks that the loopback interface works: connect(2) on a datagram socket looks up the
/// route but sends nothing.
fn loopback() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, 9))
}

/// Waits for this process's turn on the host's network, by a lock that all such processes
/// take. Whoever holds it is a run with a deadline of its own.
fn turn(binaries: &Path) -> io::Result<File> {
    // A folder can be locked even if nothing can be written, but Windows cannot open one as
    // a file.
    let lock = if cfg!(windows) {
        File::create(std::env::temp_dir().join("sockets-in-rust.lock"))?
    } else {
        File::open(binaries)?
    };
    lock.lock()?;
    Ok(lock)
}

/// Returns the first port that the scene names and another program is using, with its line.
fn busy_port(scene: &Scene) -> Option<(usize, u16)> {
    let lines = scene
        .terminals
        .iter()
        .flat_map(|terminal| (terminal.line..).zip(&terminal.lines));
    lines
        .flat_map(|(line, text)| {
            transcript::documented_ports(text).into_iter().map(move |port| (line, port))
        })
        .find(|(_, port)| is_busy(*port))
}

/// Returns whether the port stays busy. It may be busy for only a moment: between fork
/// and exec, a child that another thread starts (insta asks cargo where the workspace is)
/// holds a copy of the listener that this used for its last test.
fn is_busy(port: u16) -> bool {
    const MOMENT: Duration = Duration::from_millis(500);
    let deadline = Instant::now() + MOMENT;
    while is_busy_now(port) {
        if Instant::now() >= deadline {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    false
}

fn is_busy_now(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    let in_use = |error: io::Error| error.kind() == io::ErrorKind::AddrInUse;
    TcpListener::bind(address).err().is_some_and(in_use)
        || UdpSocket::bind(address).err().is_some_and(in_use)
}

fn in_use(port: u16) -> String {
    let holder = netlab::sockets::holder(port).map(|pid| {
        let name = netlab::process::name(pid).unwrap_or_default();
        format!(" by {name} (pid {pid})")
    });
    let holder = holder.unwrap_or_default();
    format!(
        "port {port} of the host's network is in use{holder}; end that program, or run on a \
         private network"
    )
}
