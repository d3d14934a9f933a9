//! The fence: a program that tries to do harm does none.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{CHECK, check, stderr, stdout, zoo};

static MARKS: AtomicU32 = AtomicU32::new(0);

/// Runs a harmful program under a check, and expects that it is stopped soon, for this reason,
/// and that none of its processes are left.
fn harm(what: &str, arguments: &[&str], reason: &str) -> String {
    let mark =
        format!("{}-{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
    let began = Instant::now();
    let output = Command::new(CHECK)
        .env("CHECK_MY", "/dev/null/my")
        .args(["tcp-echo", "--only", "1", "--env", "ZOO_MARK"])
        .args(arguments)
        .args(["--", zoo(), "nasty", what])
        .env("ZOO_MARK", &mark)
        .env("CHECK_TEST_SECRET", "the password")
        .output()
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(240), "{what}: {:?}", began.elapsed());
    let text = stdout(&output);
    assert!(text.contains(reason), "{what}: no `{reason}` in {text}{}", stderr(&output));
    let left = marked(&format!("ZOO_MARK={mark}"));
    assert!(left.is_empty(), "{what}: left behind: {left:?}");
    text
}

/// Returns the processes that were started with this variable and have not ended.
fn marked(variable: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    pids.filter(has).collect()
}

/// Without namespaces nothing holds back what root has started and what starts itself again: the
/// limit of processes does not apply to root.
#[test]
fn fork_bomb_is_stopped() {
    for network in ["auto", "host"] {
        let network = ["--network", network];
        let arguments = [&["tcp-echo", "--only", "1"], &network[..], &["--", "true"]];
        let tried = check(&arguments.concat());
        if stderr(&tried).contains("is not fenced in") {
            return testkit::skip("fork_bomb_is_stopped", stderr(&tried).trim());
        }
        let limit = [&network[..], &["--processes", "64"]].concat();
        harm("fork-bomb", &limit, "made more than 64 processes");
    }
}

#[test]
fn thread_bomb_is_stopped() {
    harm("thread-bomb", &["--processes", "64"], "tcp-echo/1");
}

#[test]
fn memory_hog_is_stopped() {
    let text = harm("memory-hog", &["--memory", "128"], "the program");
    assert!(
        text.contains("used more than 128 MiB") || text.contains("SIGABRT"),
        "{text}"
    );
}

#[test]
fn flood_is_stopped_and_not_kept() {
    let text = harm("flood", &["--output", "64"], "printed more than 64 KiB");
    assert!(text.len() < 10_000, "{} bytes", text.len());
}

#[test]
fn program_that_spins_is_stopped() {
    harm("spins", &["--time", "1"], "still ran after 1 s");
}

#[test]
fn program_that_ignores_termination_is_ended() {
    harm("ignores-term", &[], "1 of 1 passed");
}

#[test]
fn daemon_is_not_left_behind() {
    harm("daemon", &[], "has ended: exit status 0");
}

#[test]
fn nothing_outlives_a_checker_that_is_killed() {
    for network in ["private", "host"] {
        let mark = format!("{}-killed-{network}", std::process::id());
        let variable = format!("ZOO_MARK={mark}");
        let mut check = Command::new(CHECK)
            .env("CHECK_MY", "/dev/null/my")
            .args(["tcp-echo", "--only", "1", "--network", network, "--env", "ZOO_MARK"])
            // Of one long sleep the checker would know soon that it does not begin its task.
            .args(["--", "sh", "-c", "while sleep 5; do :; done"])
            .env("ZOO_MARK", &mark)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let is_program = |pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(b"sleep\0")
        };
        wait_until("the program runs", || marked(&variable).iter().any(is_program));
        check.kill().unwrap();
        check.wait().unwrap();
        wait_until("all are gone", || marked(&variable).is_empty());
    }
}

#[test]
fn fence_whose_watcher_is_gone_starts_nothing() {
    let limits = "1073741824,10,256,512,67108864";
    let said = |mode: &str, watcher: u32| {
        let mut fence = Command::new(CHECK)
            .args(["__fence", mode, &watcher.to_string(), limits, "now", "echo", "hello"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        fence.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        fence.kill().unwrap();
        fence.wait().unwrap();
        said
    };
    // Its parent is this process, and not the first of all.
    assert_eq!(said("group", std::process::id()), "hello\n");
    for mode in ["namespaces", "group"] {
        assert_eq!(said(mode, 1), "", "{mode}");
    }
}

/// The keeper has just been forked, and its parent dies before the keeper has asked to die with
/// it. A tracer makes this moment as long as it takes.
#[test]
#[allow(unsafe_code, reason = "fork(2) can be caught by ptrace(2) alone")]
fn keeper_whose_parent_is_gone_starts_nothing() {
    let none = std::ptr::null_mut::<libc::c_void>();
    // Returns how the process stopped or ended.
    let wait = |pid: libc::pid_t| {
        let mut status = 0;
        // SAFETY: writes one live number.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
        status
    };
    let caught =
        |status| libc::WIFSTOPPED(status) && status >> 16 == libc::PTRACE_EVENT_FORK;
    let limits = "1073741824,10,256,512,67108864";
    let mut fence = Command::new(CHECK);
    fence.args(["__fence", "namespaces", &std::process::id().to_string(), limits, "now"]);
    fence.args(["echo", "hello"]).stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: ptrace is async-signal-safe.
    unsafe {
        fence.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let Ok(fence) = fence.spawn() else {
        return testkit::skip(
            "keeper_whose_parent_is_gone_starts_nothing",
            "no ptrace(2)",
        );
    };
    let fence = fence.id().cast_signed();
    let mut status = wait(fence);
    // SAFETY: the fence is a stopped child that this thread traces.
    unsafe {
        let options = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_EXITKILL;
        libc::ptrace(libc::PTRACE_SETOPTIONS, fence, none, options);
    }
    while libc::WIFSTOPPED(status) && !caught(status) {
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_CONT, fence, none, none) };
        status = wait(fence);
    }
    if !caught(status) {
        let why = "the kernel refuses namespaces";
        return testkit::skip("keeper_whose_parent_is_gone_starts_nothing", why);
    }
    let mut keeper: libc::c_ulong = 0;
    // SAFETY: writes one live number; kill takes two.
    unsafe {
        libc::ptrace(libc::PTRACE_GETEVENTMSG, fence, none, &raw mut keeper);
        libc::kill(fence, libc::SIGKILL);
    }
    while !libc::WIFSIGNALED(wait(fence)) {}
    let keeper = libc::pid_t::try_from(keeper).unwrap();
    assert!(libc::WIFSTOPPED(wait(keeper)));
    // SAFETY: the keeper is stopped, and traced by this thread since it was forked.
    unsafe { libc::ptrace(libc::PTRACE_CONT, keeper, none, none) };
    let status = wait(keeper);
    if caught(status) {
        // SAFETY: takes two numbers; the keeper is stopped, and so its number is its own.
        unsafe { libc::kill(keeper, libc::SIGKILL) };
        panic!("it started the program");
    }
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1, "{status:#x}");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within 30 s");
        std::thread::yield_now();
    }
}

#[test]
fn secrets_stay_outside() {
    let text = harm("reads-secrets", &["--verbose"], "has ended: exit status 0");
    assert!(text.contains("stdout: PORT=12345"), "{text}");
    assert!(!text.contains("CHECK_TEST_SECRET") && !text.contains("password"), "{text}");
}

#[test]
fn processes_outside_cannot_be_signalled() {
    let mut outside = Command::new("sleep").arg("1000").spawn().unwrap();
    harm("kills", &[], "the program has ended");
    assert!(outside.try_wait().unwrap().is_none(), "it was killed");
    outside.kill().unwrap();
    outside.wait().unwrap();
}

/// Runs a shell command as the program of rfc862/1, which must fail it. Returns the report.
fn shell(arguments: &[&str], command: &str) -> String {
    let arguments = [&["rfc862", "--only", "1", "--verbose"], arguments].concat();
    stdout(&check(&[&arguments[..], &["--", "sh", "-c", command]].concat()))
}

#[test]
fn inherited_descriptors_are_closed() {
    let mut outer = Command::new("sh");
    outer.args(["-c", "exec 9</etc/hostname; exec \"$0\" \"$@\"", CHECK]);
    outer.args(["rfc862", "--only", "1", "--verbose", "--", "sh", "-c"]);
    let output = outer.arg("cat <&9 && echo it can read it").output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("ad file descriptor"), "{text}");
    assert!(!text.contains("stdout: it can read it"), "{text}");
}

#[test]
fn settings_of_the_network_cannot_be_changed() {
    let file = "/proc/sys/net/ipv4/tcp_max_tw_buckets";
    let text = shell(&[], &format!("cat {file} && echo 0 > {file}; echo status $?"));
    // The file can be read, so it exists; a redirection that fails has a status of its own.
    assert!(text.contains("stdout: status ") && !text.contains("stdout: status 0"));
    assert!(text.contains("Read-only file system"), "{text}");
    // Nor by mounting a /proc of its own, in namespaces of its own.
    let again =
        format!("unshare -Urpmf --mount-proc sh -c 'echo 0 > {file} && echo done'");
    let text = shell(&[], &again);
    assert!(!text.contains("stdout: done"), "{text}");
}

#[test]
fn program_has_no_capability() {
    for network in ["private", "host"] {
        let text = shell(&["--network", network], "grep CapEff /proc/self/status");
        assert!(text.contains("stdout: CapEff:\\t0000000000000000"), "{network}: {text}");
    }
}

#[test]
fn limits_of_the_watcher_cannot_be_changed() {
    let test = "limits_of_the_watcher_cannot_be_changed";
    if netlab::environment::on_path("prlimit").is_none() {
        return testkit::skip(test, "prlimit is not installed");
    }
    // The first process of its namespace supervises it. The program may change its own limits.
    let own = "prlimit --pid $$ --core=0; echo own $?";
    let text = shell(&[], &format!("{own}; prlimit --pid 1 --cpu=1:1; echo watcher $?"));
    assert!(text.contains("stdout: own 0"), "{text}");
    assert!(text.contains("stdout: watcher 1"), "{text}");
    assert!(text.contains("Operation not permitted"), "{text}");
}

/// Prepares a system with a shell command, as root of namespaces of its own, and runs a
/// correct program under a check there. Is skipped if the kernel does not allow that.
fn prepared(test: &str, unshare: &str, preparation: &str) {
    let prepare = |then: &str| {
        let mut outer = Command::new("unshare");
        let command = format!("{preparation} && exec {then}");
        outer.args([unshare, "sh", "-c", &command, CHECK]);
        outer.args(["whoami", "--network", "private", "--", zoo(), "whoami", "none"]);
        outer.env("CI", "true").env("CHECK_MY", "/dev/null/my").output()
    };
    match prepare("true") {
        Ok(output) if output.status.success() => {}
        _ => return testkit::skip(test, &format!("cannot do `{preparation}` here")),
    }
    let output = prepare("\"$0\" \"$@\"").unwrap();
    let text = stdout(&output);
    assert!(text.contains("passed") && text.contains("private network"), "{text}");
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
}

#[test]
fn root_without_user_namespaces_has_a_fence_too() {
    let none = "echo 0 > /proc/sys/user/max_user_namespaces";
    prepared("root_without_user_namespaces_has_a_fence_too", "-Ur", none);
}

/// As in a container: the kernel refuses to mount a new /proc if part of the old one is
/// covered.
#[test]
fn proc_that_cannot_be_mounted_anew_is_no_reason_to_fail() {
    let covered = "mount -t tmpfs none /proc/fs";
    prepared("proc_that_cannot_be_mounted_anew_is_no_reason_to_fail", "-Urm", covered);
}

#[test]
fn system_v_objects_are_gone_with_the_check() {
    if !testkit::sibling("/usr/bin/x", "ipcmk").is_some_and(|it| it.is_file()) {
        return testkit::skip("system_v_objects_are_gone_with_the_check", "no ipcmk");
    }
    let before = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let text = shell(&[], "ipcmk --shmem 4711");
    assert!(text.contains("stdout: Shared memory id"), "{text}");
    let after = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    assert_eq!(after.matches(" 4711 ").count(), before.matches(" 4711 ").count());
}

#[test]
fn files_in_memory_count_as_memory() {
    harm("memfd-hog", &["--memory", "64"], "limit hit     it used more than 64 MiB");
}

#[test]
fn output_limit_is_for_each_stream() {
    let both = "head -c 600000 /dev/zero; head -c 600000 /dev/zero >&2; echo done";
    let text = shell(&["--output", "1024"], both);
    assert!(!text.contains("limit hit"), "{text}");
}
