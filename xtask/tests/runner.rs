//! What the runner survives: a page of programs that misbehave on purpose
//! (`bad/misbehave.sh`), none of which may leave anything behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use netlab::Network;
use xtask::page::Page;
use xtask::run::{Programs, RunLimits};
use xtask::runner::Runner;
use xtask::verdict::{Verdict, Verified};

/// A test: its name, and the function that runs it on a network.
type Scenario = (&'static str, fn(&Arc<Bench>));

const SCENARIOS: &[Scenario] = &[
    ("a_page_that_holds_matches", a_page_that_holds_matches),
    (
        "a_word_that_differs_is_named_with_its_line",
        a_word_that_differs_is_named_with_its_line,
    ),
    ("never_ready", never_ready),
    ("ready_by_a_printed_line", ready_by_a_printed_line),
    #[cfg(target_os = "linux")]
    ("a_kernel_that_retransmits_is_waited_for", a_kernel_that_retransmits_is_waited_for),
    ("spins_without_end", spins_without_end),
    ("dies_early", dies_early),
    ("dies_by_a_signal", dies_by_a_signal),
    ("floods_stdout", floods_stdout),
    ("a_flood_ends_at_the_deadline", a_flood_ends_at_the_deadline),
    ("one_line_of_100_000_numbers", one_line_of_100_000_numbers),
    ("a_line_of_100_megabytes", a_line_of_100_megabytes),
    ("invalid_utf8_and_terminal_escapes", invalid_utf8_and_terminal_escapes),
    ("a_last_line_without_newline", a_last_line_without_newline),
    ("ignores_sigterm", ignores_sigterm),
    ("leaves_a_grandchild_in_its_group", leaves_a_grandchild_in_its_group),
    ("leaves_a_grandchild_in_a_new_session", leaves_a_grandchild_in_a_new_session),
    ("a_grandchild_keeps_the_pipe_open", a_grandchild_keeps_the_pipe_open),
    ("interrupted_as_the_page_says", interrupted_as_the_page_says),
    (
        "an_interrupt_waits_for_the_lines_before_it",
        an_interrupt_waits_for_the_lines_before_it,
    ),
    (
        "an_interrupt_waits_for_lines_after_the_others_exit",
        an_interrupt_waits_for_lines_after_the_others_exit,
    ),
    ("an_interrupt_waits_for_no_line_for_ever", an_interrupt_waits_for_no_line_for_ever),
    ("forgotten_interrupt_is_advised", forgotten_interrupt_is_advised),
    (
        "a_program_that_is_not_installed_is_a_skip",
        a_program_that_is_not_installed_is_a_skip,
    ),
    ("a_program_that_is_not_beside_the_page_is_a_fault", not_beside_the_page),
];

/// Tests that run `demo` as a user does, in a process of its own.
const COMMANDS: &[(&str, fn())] = &[
    #[cfg(target_os = "linux")]
    ("a_first_pair_of_dashes_is_passed_on", a_first_pair_of_dashes_is_passed_on),
    ("demo_twice_at_once", demo_twice_at_once),
    ("demo_twice_at_once_on_the_host", demo_twice_at_once_on_the_host),
    ("ctrl_c_in_the_middle_leaves_no_process", ctrl_c_in_the_middle_leaves_no_process),
    ("killed_in_the_middle_leaves_no_process", killed_in_the_middle_leaves_no_process),
    #[cfg(target_os = "linux")]
    ("one_signal_ends_all_scenes", one_signal_ends_all_scenes),
    #[cfg(unix)]
    ("a_signal_ends_a_demo_whose_output_nobody_reads", nobody_reads),
    #[cfg(target_os = "linux")]
    ("what_left_its_run_is_killed", what_left_its_run_is_killed),
    #[cfg(target_os = "linux")]
    ("a_loopback_that_is_down_is_a_skip", a_loopback_that_is_down_is_a_skip),
    #[cfg(target_os = "linux")]
    ("older_kernels_and_sandboxes", older_kernels_and_sandboxes),
    ("a_byte_order_mark_before_a_block", a_byte_order_mark_before_a_block),
    ("a_read_only_checkout", a_read_only_checkout),
    ("a_scene_that_names_ipv6_needs_it", a_scene_that_names_ipv6_needs_it),
    ("no_terminal", no_terminal),
    #[cfg(unix)]
    ("a_closed_standard_output", a_closed_standard_output),
    ("a_stranger_on_the_port_of_the_host", a_stranger_on_the_port_of_the_host),
    ("a_wrong_name_lists_the_right_ones", a_wrong_name_lists_the_right_ones),
    ("a_broken_page_is_named_with_its_line", a_broken_page_is_named_with_its_line),
    ("all_skipped_is_status_77", all_skipped_is_status_77),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if cfg!(not(unix)) {
        return libtest_mimic::run(&arguments, Vec::new()).exit_code();
    }
    let mut refused = None;
    let network = Network::choose(false, |why| refused = Some(why.to_owned()));
    xtask::interrupt::watch().unwrap();
    let mut trials = Vec::new();
    let mut networks = vec![("host", Network::Host)];
    if network == Network::Private {
        networks.push(("private", Network::Private));
    }
    for (label, network) in networks {
        let bench = Arc::new(Bench { network });
        for (name, scenario) in SCENARIOS {
            let bench = Arc::clone(&bench);
            trials.push(Trial::test(format!("{label}/{name}"), move || {
                scenario(&bench);
                Ok(())
            }));
        }
    }
    for (name, command) in COMMANDS {
        trials.push(Trial::test(*name, move || {
            command();
            Ok(())
        }));
    }
    if let Some(why) = refused {
        let trial = Trial::test("private", || Ok(())).with_ignored_flag(true);
        trials.push(trial.with_kind(format!("skipped, {why}")));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs pages that are written in the tests.
struct Bench {
    network: Network,
}

impl Bench {
    fn verify(&self, page: &str) -> Verified {
        self.verify_within(
            page,
            RunLimits { ready: Duration::from_secs(20), ..RunLimits::default() },
        )
    }

    fn verify_within(&self, page: &str, limits: RunLimits) -> Verified {
        let page = Page::parse(Path::new("tests/bad/page.md"), page).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let programs = Programs { binaries: binaries() };
        let runner = Runner { programs, network: self.network, limits };
        runner.verify(root, &page, &page.scenes[0], &mut |_| {})
    }

    /// Runs `misbehave.sh MODE` in a single terminal, and also returns its lines.
    fn misbehave(&self, mode: &str, limits: RunLimits) -> (Verified, Vec<String>) {
        let verified = self.verify_within(
            &format!("```console it\n$ ./misbehave.sh {mode}\nleft\n```\n"),
            limits,
        );
        let lines = verified.outcome.as_ref().map_or(Vec::new(), |outcome| {
            outcome.terminals[0].iter().skip(1).cloned().collect()
        });
        (verified, lines)
    }
}

fn binaries() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap().to_owned()
}

fn short() -> RunLimits {
    let limit = Duration::from_millis(300);
    RunLimits {
        ready: limit,
        run: limit,
        farewell: Duration::from_millis(100),
        ..RunLimits::default()
    }
}

fn stopped(verified: &Verified) -> String {
    assert!(matches!(verified.verdict, Verdict::Stopped(_)), "{:?}", verified.verdict);
    verified.explain()
}

fn a_page_that_holds_matches(bench: &Arc<Bench>) {
    let verified = bench.verify(
        "```console one\n$ printf 'port %s\\n' 50001\nport 40000\n$ echo x\nx\n\
         ```\n\n```console two\n$ sh -c 'printf \"port %s\\n\" 50001 >&2'\nport 40000\n$ sh -c 'exit 7'\n\
         [exit status 7]\n```\n",
    );
    assert!(matches!(verified.verdict, Verdict::Matches), "{}", verified.explain());
}

fn a_word_that_differs_is_named_with_its_line(bench: &Arc<Bench>) {
    let verified = bench.verify("\n```console one\n$ printf 'a\\nb\\n'\na\nc\n```\n");
    let text = verified.explain();
    assert!(
        text.starts_with(
            "tests/bad/page.md:5: terminal one does not show what the page does"
        ),
        "{text}"
    );
    assert!(text.contains("- c\n+ b\n"), "{text}");
}

fn never_ready(bench: &Arc<Bench>) {
    let page = "```console it\n$ ./misbehave.sh never-ready\nI listen\n```\n\n\
                ```console two\n$ echo never\nnever\n```\n";
    let limits = RunLimits { run: Duration::from_secs(20), ..short() };
    let text = stopped(&bench.verify_within(page, limits));
    assert!(text.contains("page.md:2: terminal it: not ready within 0.3 s"), "{text}");
    assert!(text.contains("nor printed `I listen`"), "{text}");
}

fn ready_by_a_printed_line(bench: &Arc<Bench>) {
    let verified = bench.verify(
        "```console it\n$ sh -c 'echo ready; exec sleep 1000'\nready\n^C\n```\n\n\
         ```console two\n$ echo x\nx\n```\n",
    );
    assert!(matches!(verified.verdict, Verdict::Matches), "{}", verified.explain());
}

#[cfg(target_os = "linux")]
fn a_kernel_that_retransmits_is_waited_for(bench: &Arc<Bench>) {
    let page = "```wire it\nlose a>b data 1\nlose a>b data 1 2 3 retransmission\n\
                ```\n\n```console it/server\n$ python3 -c 'import socket as s; \
                c = s.create_server((\"10.77.0.2\", 12345)).accept()[0]; print(len(c.recv(9)))'\n2\n\
                ```\n\n```console it/client\n$ python3 -c 'import socket as s; \
                c = s.create_connection((\"10.77.0.2\", 12345)); c.send(b\"hi\"); \
                print(len(c.recv(9)))'\n0\n```\n";
    let limits = RunLimits { ready: Duration::from_secs(1), ..RunLimits::default() };
    let verified = bench.verify_within(page, limits);
    match &verified.verdict {
        Verdict::Skipped(why) => skip(why),
        verdict => assert!(matches!(verdict, Verdict::Matches), "{}", verified.explain()),
    }
}

fn spins_without_end(bench: &Arc<Bench>) {
    let (verified, _) = bench.misbehave("spins", short());
    assert!(stopped(&verified).contains("0.3 s"));
}

fn dies_early(bench: &Arc<Bench>) {
    let verified =
        bench.verify("```console it\n$ ./misbehave.sh dies-early\nI listen\n```\n");
    let text = verified.explain();
    assert!(text.contains("- I listen\n+ cannot go on\n+ [exit status 3]\n"), "{text}");
}

fn dies_by_a_signal(bench: &Arc<Bench>) {
    let (_, lines) = bench.misbehave("dies-by-signal", RunLimits::default());
    assert_eq!(lines, ["[killed by SIGSEGV]"]);
}

fn floods_stdout(bench: &Arc<Bench>) {
    let (verified, lines) = bench.misbehave("floods", RunLimits::default());
    assert!(
        stopped(&verified).contains("printed more than 20000 lines, and was stopped")
    );
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!(bytes <= (1 << 20) + 100, "{bytes}");
}

/// However much it prints: `yes` with a deadline of 5 s once ended after 34 s.
fn a_flood_ends_at_the_deadline(bench: &Arc<Bench>) {
    let limits =
        RunLimits { output_bytes: 64 << 20, output_lines: usize::MAX, ..short() };
    let (verified, lines) = bench.misbehave("floods", limits);
    assert!(stopped(&verified).contains("0.3 s"), "{}", verified.explain());
    let elapsed = verified.outcome.unwrap().elapsed;
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}, {} lines", lines.len());
}

/// A line of 100,000 numbers once took more than 448 s.
fn one_line_of_100_000_numbers(bench: &Arc<Bench>) {
    let (verified, lines) = bench.misbehave("numbers", RunLimits::default());
    assert_eq!((lines.len(), lines[0].split(' ').count()), (1, 100_000));
    let elapsed = verified.outcome.unwrap().elapsed;
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

fn a_line_of_100_megabytes(bench: &Arc<Bench>) {
    let (verified, lines) = bench.misbehave("long-line", RunLimits::default());
    let text = stopped(&verified);
    assert!(text.contains("printed more than 1048576 bytes"), "{}", text.len());
    assert!(text.len() < 10_000, "{}", text.len());
    assert!(lines.iter().all(|line| line.len() <= 1 << 20));
}

fn invalid_utf8_and_terminal_escapes(bench: &Arc<Bench>) {
    let (_, lines) = bench.misbehave("not-utf8", RunLimits::default());
    assert_eq!(lines, ["a\\xffb\\x1b[2J\\x01"]);
}

fn a_last_line_without_newline(bench: &Arc<Bench>) {
    let (_, lines) = bench.misbehave("no-newline", RunLimits::default());
    assert_eq!(lines, ["half a line"]);
}

fn ignores_sigterm(bench: &Arc<Bench>) {
    let (verified, _) = bench.misbehave("ignores-sigterm", short());
    assert!(stopped(&verified).contains("0.3 s"));
    nothing_is_left(&verified);
}

fn leaves_a_grandchild_in_its_group(bench: &Arc<Bench>) {
    left_behind(bench, "leaves-grandchild");
}

fn leaves_a_grandchild_in_a_new_session(bench: &Arc<Bench>) {
    left_behind(bench, "leaves-session");
}

fn a_grandchild_keeps_the_pipe_open(bench: &Arc<Bench>) {
    left_behind(bench, "holds-pipe");
}

fn left_behind(bench: &Arc<Bench>, mode: &str) {
    let (verified, lines) = bench.misbehave(mode, RunLimits::default());
    assert!(matches!(verified.verdict, Verdict::Matches), "{}", verified.explain());
    assert_eq!(lines, ["left"]);
    let outcome = verified.outcome.as_ref().unwrap();
    assert!(!outcome.leftovers.is_empty(), "the runner saw no process left behind");
    nothing_is_left(&verified);
}

/// Checks that every process that the run reported as left behind is gone.
fn nothing_is_left(verified: &Verified) {
    for left in verified.outcome.iter().flat_map(|outcome| &outcome.leftovers) {
        let pid = left.split("pid ").nth(1).unwrap().trim_end_matches(')');
        assert!(!is_alive(pid), "{left}");
    }
}

/// Returns whether a process is running. One that waits to be reaped is not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

fn interrupted_as_the_page_says(bench: &Arc<Bench>) {
    // The shell starts nothing here: a process that it is about to start would lose the
    // signal, and the shell would wait for it.
    let verified = bench.verify(
        "```console it\n$ sh -c 'trap \"echo bye; exit 4\" INT; echo hi; while :; do :; \
         done'\nhi\n^C\nbye\n[exit status 4]\n```\n\n```console two\n$ echo x\nx\n```\n",
    );
    assert!(matches!(verified.verdict, Verdict::Matches), "{}", verified.explain());
}

/// A command whose second line comes late, as on a busy machine.
const LATE: &str = "$ sh -c 'echo hi; sleep 0.2; echo late; exec sleep 1000'\nhi\n";

fn an_interrupt_waits_for_the_lines_before_it(bench: &Arc<Bench>) {
    let verified = bench.verify(&format!("```console it\n{LATE}late\n^C\n```\n"));
    assert!(matches!(verified.verdict, Verdict::Matches), "{}", verified.explain());
}

/// The silence starts again when the other terminal exits, without having printed anything.
fn an_interrupt_waits_for_lines_after_the_others_exit(bench: &Arc<Bench>) {
    let verified = bench.verify(
        "```console it\n$ sh -c 'echo hi; sleep 1.5; echo late; exec sleep 1000'\nhi\nlate\n^C\n\
         ```\n\n```console two\n$ sleep 1.2\n```\n",
    );
    assert!(matches!(verified.verdict, Verdict::Matches), "{}", verified.explain());
}

fn an_interrupt_waits_for_no_line_for_ever(bench: &Arc<Bench>) {
    let verified = bench.verify(&format!("```console it\n{LATE}late\nnever\n^C\n```\n"));
    let text = verified.explain();
    assert!(text.contains("  late\n- never\n  ^C\n"), "{text}");
}

fn forgotten_interrupt_is_advised(bench: &Arc<Bench>) {
    let page = "```console it\n$ sh -c 'echo hi; exec sleep 1000'\nhi\n```\n";
    let text = stopped(&bench.verify_within(page, short()));
    assert!(
        text.contains("still running after 0.3 s; does its block need a `^C`?"),
        "{text}"
    );
}

fn a_program_that_is_not_installed_is_a_skip(bench: &Arc<Bench>) {
    let verified = bench.verify("```console it\n$ no-such-program-here 1\n```\n");
    let Verdict::Skipped(why) = &verified.verdict else {
        panic!("{:?}", verified.verdict)
    };
    assert_eq!(why, "no-such-program-here is not installed");
}

fn not_beside_the_page(bench: &Arc<Bench>) {
    let verified = bench.verify("```console it\n$ ./no-such-program.sh\n```\n");
    let text = stopped(&verified);
    assert!(
        text.contains("page.md:2: ./no-such-program.sh is not in the page"),
        "{text}"
    );
}

/// A workspace with one lesson, in a folder that is removed at the end of the test.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new(page: &str) -> Checkout {
        let checkout = Checkout(tempfile::tempdir().unwrap());
        fs::create_dir_all(checkout.path("xtask")).unwrap();
        fs::create_dir_all(checkout.path("lessons/01-one")).unwrap();
        fs::write(checkout.page(), page).unwrap();
        checkout
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn page(&self) -> PathBuf {
        self.path("lessons/01-one/README.md")
    }

    /// Returns the command `cargo xtask ARGUMENTS` in this checkout.
    fn xtask(&self, arguments: &[&str]) -> Command {
        self.command("xtask", arguments)
    }

    /// Returns the command of a program beside xtask.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
        let mut command = Command::new(xtask.with_file_name(program));
        self.prepare(&mut command);
        command.args(arguments);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command
            .env("CARGO_MANIFEST_DIR", self.path("xtask"))
            .env_remove("CI")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }
}

const HELLO: &str = "```console one\n$ echo hello\nhello\n```\n";

/// Returns the exit status, standard output and standard error.
fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// `cargo xtask flow -- SERVER -- CLIENT` draws both, and `check -- PROGRAM` lacks its task.
#[cfg(target_os = "linux")]
fn a_first_pair_of_dashes_is_passed_on() {
    let xtask = |arguments: &[&str]| {
        outcome(Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments))
    };
    let program = ["python3", "-c", "import socket; socket.socket().close()"];
    let both = [&["flow", "--"], &program[..], &["--"], &program[..]].concat();
    let (status, drawn, said) = xtask(&both);
    // Status 77 means that tracing is refused here, but the programs got as far as that.
    assert!(matches!(status, Some(0 | 77)), "{status:?} {drawn} {said}");
    assert!(status == Some(77) || drawn.matches("close(3) = 0").count() == 2, "{drawn}");
    let (status, _, said) = xtask(&["check", "--", "true"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(!said.contains("`true`"), "{said}");
}

fn demo_twice_at_once() {
    let checkout = Checkout::new(HELLO);
    let demos: Vec<Child> =
        (0..2).map(|_| checkout.xtask(&["demo", "1"]).spawn().unwrap()).collect();
    for demo in demos {
        let output = demo.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

fn demo_twice_at_once_on_the_host() {
    let port = listen_on_a_documented_port(20_000).local_addr().unwrap().port();
    let page = format!(
        "```console one\n$ python3 -m http.server --bind 127.0.0.1 {port}\n^C\n```\n\n\
         ```console two\n$ echo x\nx\n```\n"
    );
    let checkout = Checkout::new(&page);
    let demos: Vec<Child> = (0..2)
        .map(|_| checkout.xtask(&["demo", "1", "--host-network"]).spawn().unwrap())
        .collect();
    for demo in demos {
        let output = demo.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        // Each had its turn: they did not collide on the port.
        assert!(!text.contains("in use"), "{text}");
        assert!(!text.to_lowercase().contains("address already"), "{text}");
    }
}

/// A page whose program prints its process id, and then waits for ever.
const WAITS: &str =
    "```console one\n$ sh -c 'echo pid $$; exec sleep 1000'\npid 1\n```\n";

/// Starts the waiting page and reads the process id that its program printed.
fn start_waiting(checkout: &Checkout) -> (Child, String) {
    let mut demo = checkout.xtask(&["demo", "1"]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let line =
        lines.find(|line| line.as_ref().unwrap().contains("│ pid ")).unwrap().unwrap();
    let pid = line.rsplit("pid ").next().unwrap().trim().to_owned();
    assert!(is_alive(&pid));
    std::thread::spawn(move || lines.for_each(drop));
    (demo, pid)
}

fn wait_until_gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::yield_now();
    }
}

fn ctrl_c_in_the_middle_leaves_no_process() {
    let checkout = Checkout::new(WAITS);
    let (mut demo, pid) = start_waiting(&checkout);
    let own = demo.id().to_string();
    assert!(Command::new("kill").args(["-INT", &own]).status().unwrap().success());
    let status = demo.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(!is_alive(&pid), "process {pid} outlived the demo");
}

fn killed_in_the_middle_leaves_no_process() {
    let checkout = Checkout::new(WAITS);
    let (mut demo, pid) = start_waiting(&checkout);
    demo.kill().unwrap();
    demo.wait().unwrap();
    if cfg!(target_os = "linux") {
        wait_until_gone(&pid);
    }
}

/// Scenes that run for long, and refuse to end when they are asked to: two more than run side by
/// side, which depends on the machine.
#[cfg(target_os = "linux")]
fn one_signal_ends_all_scenes() {
    let scene = |name: &str| {
        format!(
            "```console {name}/it\n$ sh -c 'trap \"\" INT TERM HUP; touch {name}.txt; \
             sleep 1000 & sleep 1000'\n```\n\n"
        )
    };
    let side_by_side = std::thread::available_parallelism().map_or(1, |it| it.get());
    let page: String = (0..side_by_side + 2).map(|it| scene(&format!("s{it}"))).collect();
    let last = format!("lessons/01-one/s{}.txt", side_by_side + 1);
    for (program, arguments) in [
        ("xtask", &["demo", "--all", "--scenes"][..]),
        ("xtask", &["demo", "1", "--scenes"]),
        ("xtask", &["demo", "--all", "--scenes", "--host-network"]),
        ("maintain", &["update"]),
    ] {
        let file = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(program);
        if !file.is_file() {
            let why =
                format!("skipped: {program} is not built: cargo build --workspace\n");
            std::io::Write::write_all(&mut std::io::stderr(), why.as_bytes()).unwrap();
            continue;
        }
        for signal in ["-INT", "-TERM", "-HUP"] {
            let checkout = Checkout::new(&page);
            let mut xtask = checkout.command(program, arguments).spawn().unwrap();
            let own = xtask.id().to_string();
            let started = checkout.path("lessons/01-one/s0.txt");
            let deadline = Instant::now() + Duration::from_secs(20);
            while !started.exists() {
                assert!(Instant::now() < deadline, "the first scene did not start");
                std::thread::yield_now();
            }
            assert!(
                Command::new("kill").args([signal, &own]).status().unwrap().success()
            );
            // Half a second, and the rest to allow for a busy machine.
            ends_within(
                Duration::from_secs(3),
                &mut xtask,
                &format!("{arguments:?} {signal}"),
            );
            let status = xtask.wait().unwrap();
            assert!(!status.success(), "{arguments:?} {signal}: {status}");
            assert!(!checkout.path(&last).exists(), "{arguments:?}");
            wait_until_none_has(&format!("XTASK_RUN={own}-"));
        }
    }
}

/// Expects that a child ends so soon.
#[cfg(unix)]
fn ends_within(limit: Duration, child: &mut Child, context: &str) {
    if !testkit::soon(limit, || child.try_wait().unwrap().is_some()) {
        child.kill().unwrap();
        panic!("{context}: it has not ended within {limit:?}");
    }
}

/// Waits until no process has a variable that begins like this.
#[cfg(target_os = "linux")]
fn wait_until_none_has(variable: &str) {
    let has = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        let mut entries = environment.split(|byte| *byte == 0);
        entries.any(|entry| entry.starts_with(variable.as_bytes()))
    };
    let mut left = Vec::new();
    let none = testkit::soon(Duration::from_secs(2), || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        left = processes.filter(|path| has(path)).collect();
        left.is_empty()
    });
    assert!(none, "still there with {variable}: {left:?}");
}

/// A demo that is blocked on a full pipe still reacts to a signal.
#[cfg(unix)]
fn nobody_reads() {
    let checkout = Checkout::new("```console one\n$ yes no and no and no\n```\n");
    let mut demo = checkout.xtask(&["demo", "1"]).spawn().unwrap();
    // More than a pipe holds, which is 64 KiB: from there on it is blocked.
    let reader = demo.stdout.take().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while netlab::process::unread_bytes(&reader) < 60_000 {
        assert!(Instant::now() < deadline, "the pipe is not full");
        std::thread::yield_now();
    }
    let own = demo.id().to_string();
    assert!(Command::new("kill").args(["-INT", &own]).status().unwrap().success());
    ends_within(Duration::from_secs(3), &mut demo, "after ^C");
}

/// Processes that removed what distinguishes them from those of another run are killed too.
#[cfg(target_os = "linux")]
fn what_left_its_run_is_killed() {
    for (mode, options) in [
        ("leaves-clean", &["demo", "1", "--host-network"][..]),
        ("leaves-network", &["demo", "1"]),
        ("leaves-clean", &["demo", "1"]),
        ("clean-in-group", &["demo", "1", "--host-network"]),
        ("network-in-group", &["demo", "1"]),
    ] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/misbehave.sh");
        let checkout = Checkout::new(&format!(
            "```console one\n$ ./misbehave.sh {mode}\nleft\n```\n"
        ));
        fs::copy(script, checkout.path("lessons/01-one/misbehave.sh")).unwrap();
        let (status, out, err) = outcome(&mut checkout.xtask(options));
        assert_eq!(status, Some(0), "{mode}: {out}{err}");
        if mode.contains("network") && err.contains("no private network") {
            skip("no private network here");
            continue;
        }
        let left = out.split("left behind, and killed: ").nth(1);
        let left =
            left.unwrap_or_else(|| panic!("{mode}: nothing left behind: {out}{err}"));
        let pid = left.split("(pid ").nth(1).unwrap().split(')').next().unwrap();
        assert!(!is_alive(pid), "{mode}: {left}");
    }
}

/// On a network whose loopback interface is down, a scene is skipped.
#[cfg(target_os = "linux")]
fn a_loopback_that_is_down_is_a_skip() {
    let checkout = Checkout::new(HELLO);
    let mut command = Command::new("unshare");
    checkout.prepare(&mut command);
    command.args(["--user", "--map-root-user", "--net", env!("CARGO_BIN_EXE_xtask")]);
    command.args(["demo", "1", "--host-network"]);
    let (status, out, err) = match command.output() {
        Ok(_) => outcome(&mut command),
        Err(_) => return skip("unshare is not installed"),
    };
    if err.contains("unshare") {
        return skip(&format!("no network of one's own here: {}", err.trim()));
    }
    assert!(out.contains("skipped: the loopback interface is down"), "{out}{err}");
    assert_eq!(status, Some(77), "{out}{err}");
}

/// If no private network is to be had, the host's is used, and a note says what would allow
/// one.
#[cfg(target_os = "linux")]
fn older_kernels_and_sandboxes() {
    let deadly = testkit::Filter::default().deadly(libc::SYS_unshare);
    for (filter, note) in [
        (testkit::Filter::linux_4_19(), false),
        (testkit::Filter::docker(), true),
        (deadly, true),
    ] {
        let checkout = Checkout::new(HELLO);
        let mut demo = checkout.xtask(&["demo", "1"]);
        filter.around(&mut demo);
        let (status, out, err) = outcome(&mut demo);
        assert_eq!(status, Some(0), "{out}{err}");
        assert!(!note || err.contains("seccomp=unconfined"), "{err}");
    }
}

fn a_byte_order_mark_before_a_block() {
    let checkout = Checkout::new(&format!("\u{feff}{HELLO}"));
    let (status, out, err) = outcome(&mut checkout.xtask(&["demo", "1"]));
    assert!(out.contains("✓ the terminal shows"), "{out}{err}");
    assert_eq!(status, Some(0));
}

fn a_read_only_checkout() {
    let checkout = Checkout::new(HELLO);
    // Not even root can write to a read-only mount.
    let mut command = Command::new("unshare");
    checkout.prepare(&mut command);
    let script = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && \
                  ! touch \"$0/x\" 2>/dev/null && exec \"$@\"";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(checkout.0.path()).arg(env!("CARGO_BIN_EXE_xtask")).args(["demo", "1"]);
    let (status, out, err) = match command.output() {
        Ok(_) => outcome(&mut command),
        Err(_) => return skip("unshare is not installed"),
    };
    if err.contains("unshare") || err.contains("mount:") {
        return skip(&format!("no read-only mount here: {}", err.trim()));
    }
    assert_eq!(status, Some(0), "{out}{err}");
    assert!(out.contains("✓"), "{out}");
}

/// On a network without IPv6, a scene that names an IPv6 address is skipped.
fn a_scene_that_names_ipv6_needs_it() {
    let checkout = Checkout::new("```console one\n$ echo ::1\n::1\n```\n");
    let mut command = Command::new("unshare");
    checkout.prepare(&mut command);
    let script = "echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6; ip link set lo up; \
                  exec \"$0\" demo 1 --host-network";
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", script]);
    command.arg(env!("CARGO_BIN_EXE_xtask"));
    let (status, out, err) = match command.output() {
        Ok(_) => outcome(&mut command),
        Err(_) => return skip("unshare is not installed"),
    };
    if err.contains("unshare") || err.contains("ip:") {
        return skip(&format!("no network of one's own here: {}", err.trim()));
    }
    assert!(out.contains("skipped: the loopback interface has no IPv6 address, ::1"));
    assert_eq!(status, Some(77), "{out}{err}");
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

fn no_terminal() {
    let checkout = Checkout::new(HELLO);
    let (status, out, err) = outcome(&mut checkout.xtask(&["demo", "1"]));
    assert_eq!(status, Some(0), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["one │ $ echo hello", "one │ hello", ""]);
    assert!(
        lines[3].starts_with("✓ the terminal shows what lessons/01-one/README.md says  ")
    );
    assert!(!out.contains('\x1b'), "colour on a pipe: {out:?}");
}

#[cfg(unix)]
fn a_closed_standard_output() {
    let checkout = Checkout::new(HELLO);
    let pipe = testkit::pipe_without_reader();
    let mut demo = checkout.xtask(&["demo", "1"]).stdout(pipe).spawn().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut demo.stderr.take().unwrap(), &mut said).unwrap();
    // As with `demo | head -1`, the reader has seen enough.
    assert_eq!((demo.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

/// Returns a free port below the ephemeral range, from a range of the test's own.
fn listen_on_a_documented_port(first: u32) -> TcpListener {
    let from = first + std::process::id() % 5_000;
    (from..first + 6_000)
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port as u16)).ok())
        .expect("a free port")
}

fn a_stranger_on_the_port_of_the_host() {
    let stranger = listen_on_a_documented_port(26_000);
    let port = stranger.local_addr().unwrap().port();
    let checkout =
        Checkout::new(&format!("# A\n\n```console one\n$ echo {port}\n{port}\n```\n"));
    let (status, out, _) = outcome(&mut checkout.xtask(&["demo", "1", "--host-network"]));
    assert_eq!(status, Some(1), "{out}");
    let own = std::process::id();
    assert!(
        out.contains(&format!(
            "README.md:4: port {port} of the host's network is in use by "
        )),
        "{out}"
    );
    assert!(
        cfg!(not(target_os = "linux")) || out.contains(&format!("(pid {own})")),
        "{out}"
    );
}

fn a_wrong_name_lists_the_right_ones() {
    let checkout = Checkout::new(HELLO);
    let (status, _, err) = outcome(&mut checkout.xtask(&["demo", "two\x1b"]));
    assert_eq!(status, Some(2));
    assert_eq!(err, "find lesson `two\\x1b`: no such lesson; there are: 1 one\n");
    let (status, _, err) = outcome(&mut checkout.xtask(&["demo", "one/x"]));
    assert_eq!(status, Some(2));
    assert_eq!(err, "find scene `x` of 01-one: no such scene; there are: main\n");
    let (status, _, err) = outcome(&mut checkout.xtask(&["demo", "on"]));
    assert_eq!(status, Some(2));
    let expected =
        "find lesson `on`: no such lesson; did you mean one? there are: 1 one\n";
    assert_eq!(err, expected);
    let (_, _, err) = outcome(&mut checkout.xtask(&["flow", "1/mian"]));
    assert!(err.contains("did you mean main?"), "{err}");
    for word in ["1", "01", "01-one", "one", "one/main"] {
        assert_eq!(outcome(&mut checkout.xtask(&["demo", word])).0, Some(0), "{word}");
    }
}

fn a_broken_page_is_named_with_its_line() {
    let checkout = Checkout::new("# A\n\n```consol one\n$ echo\n```\n");
    let (status, _, err) = outcome(&mut checkout.xtask(&["demo", "--all"]));
    assert_eq!(status, Some(1));
    assert!(
        err.starts_with("lessons/01-one/README.md:3: unknown block `consol one`"),
        "{err}"
    );
}

fn all_skipped_is_status_77() {
    let checkout = Checkout::new("```console one\n$ no-such-program-here\n```\n");
    let (status, out, _) = outcome(&mut checkout.xtask(&["demo", "--all"]));
    assert_eq!(status, Some(77), "{out}");
    assert!(out.contains("1 skipped: no-such-program-here is not installed"), "{out}");
}
