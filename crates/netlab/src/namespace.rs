//! Namespaces: a user namespace for the process, a network namespace for each run.
#![allow(
    unsafe_code,
    reason = "unshare(2), fork(2) and the loopback's ioctls have no safe form"
)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use crate::Refusal;

/// The step that makes a user namespace.
const USER_NAMESPACE: &str = "unshare(CLONE_NEWUSER)";

const ALLOW_USER_NAMESPACES: &str = "a sandbox, a chroot or the kernel forbids user \
     namespaces: try `sudo sysctl user.max_user_namespaces=15000`, on Ubuntu also \
     `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, on an older Debian \
     `sudo sysctl kernel.unprivileged_userns_clone=1`, in a container \
     `--security-opt seccomp=unconfined`, or run on the host's network";

const LEAVE_THE_CHROOT: &str = "the kernel makes no user namespace in a chroot: run it as \
     root, outside of the chroot, or on the host's network";

/// The refusal of a step in making namespaces.
fn refusal(attempt: &'static str, reason: io::Error) -> Refusal {
    let is_forbidden = reason.raw_os_error() == Some(libc::EPERM);
    let remedy = if attempt == USER_NAMESPACE && is_forbidden && is_in_chroot() {
        LEAVE_THE_CHROOT
    } else {
        ALLOW_USER_NAMESPACES
    };
    Refusal::new(attempt, reason, remedy)
}

/// Whether this process is certainly in a chroot: elsewhere, its root is where something is
/// mounted, which a chroot's may be, too.
fn is_in_chroot() -> bool {
    let mount_root = libc::STATX_ATTR_MOUNT_ROOT as u64;
    // SAFETY: the path is NUL-terminated; all zeroes is a valid value of the plain structure,
    // which the kernel fills.
    let (result, root) = unsafe {
        let mut root: libc::statx = std::mem::zeroed();
        let to = &raw mut root;
        (libc::statx(libc::AT_FDCWD, c"/".as_ptr(), 0, libc::STATX_TYPE, to), root)
    };
    // Before Linux 5.8 the kernel does not say.
    result == 0
        && root.stx_attributes_mask & mount_root != 0
        && root.stx_attributes & mount_root == 0
}

/// Moves this process into a user namespace of its own, in which it may create networks.
///
/// Inside, the user is 0 and has all capabilities over what the namespace owns; outside,
/// nothing changes: files belong to the user as before. The step is tried in a child
/// first, so a refusal leaves this process as it was. A process that may create networks
/// anyway (root) goes on without a user namespace if it is refused one.
///
/// Call it while the process has one thread: `unshare(2)` requires that.
///
/// # Errors
/// [`Refusal`] with `ENOSPC` where `user.max_user_namespaces` is used up, `EPERM` where a
/// sandbox or a security module forbids the step, or in a chroot, `EINVAL` where the process
/// has threads.
///
/// Source: `user_namespaces(7)`.
pub fn enter_user_namespace() -> Result<(), Refusal> {
    // SAFETY: getuid and getgid always succeed and touch no memory.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    match in_child(|| make_user_namespace(uid, gid).and_then(|()| unshare_network())) {
        Ok(()) => make_user_namespace(uid, gid),
        Err(_) if in_child(unshare_network).is_ok() => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// A network namespace with its loopback interface up: `127.0.0.1` and `::1`, all ports
/// free.
///
/// It belongs to the thread that entered it and to every process which that thread starts
/// from then on, and goes away with the last of them.
#[derive(Debug)]
pub struct PrivateNetwork {
    /// The namespace's inode, by which the kernel names it in `/proc/PID/ns/net`.
    inode: u64,
}

impl PrivateNetwork {
    /// Moves the calling thread to a new network of its own.
    ///
    /// # Errors
    /// [`Refusal`] with `EPERM` outside a user namespace and without `CAP_SYS_ADMIN`,
    /// `ENOSPC` where `user.max_net_namespaces` is used up.
    ///
    /// Source: `network_namespaces(7)`.
    pub fn enter() -> Result<Self, Refusal> {
        unshare_network()?;
        raise_loopback().map_err(|reason| {
            Refusal::new(
                "bring the loopback interface up",
                reason,
                "run on the host's network",
            )
        })?;
        let inode = namespace_inode("thread-self").map_err(|reason| {
            Refusal::new("read /proc/thread-self/ns/net", reason, "mount /proc")
        })?;
        Ok(PrivateNetwork { inode })
    }

    /// The ids of all processes on this network, wherever they are in the process tree.
    ///
    /// The thread that entered it is not among them, unless it is the main thread of its
    /// process.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                namespace_inode(&pid.to_string()).is_ok_and(|inode| inode == self.inode)
            })
            .collect()
    }
}

fn namespace_inode(process: &str) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{process}/ns/net"))?.ino())
}

/// Moves the calling thread to a network of its own, and changes nothing else that its
/// programs see: they keep their user, groups and privileges.
///
/// A user who may create networks, such as root, needs no user namespace for this. Other
/// users get one in which they keep their identity and may bind ports below 1024.
///
/// Call it while the process has one thread: `unshare(2)` requires that.
///
/// # Errors
/// A [`Refusal`], as from [`enter_user_namespace`] and [`PrivateNetwork::enter`].
pub fn enter_network_as_oneself() -> Result<PrivateNetwork, Refusal> {
    // SAFETY: getuid and getgid always succeed and touch no memory.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if in_child(unshare_network).is_ok() {
        return PrivateNetwork::enter();
    }
    let make = || map_user_namespace((uid, uid), (gid, gid));
    in_child(|| make().and_then(|()| unshare_network()))?;
    make()?;
    let network = PrivateNetwork::enter()?;
    // This is the network just entered. If it refuses, low ports stay root's.
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    Ok(network)
}

fn make_user_namespace(uid: u32, gid: u32) -> Result<(), Refusal> {
    // Map to 0, not to ourselves: as ourselves we could not bind a port below 1024.
    map_user_namespace((0, uid), (0, gid))
}

/// Creates a user namespace with one user and one group, each given as its id inside and
/// its id outside.
fn map_user_namespace(uid: (u32, u32), gid: (u32, u32)) -> Result<(), Refusal> {
    let refused = |attempt| move |reason| refusal(attempt, reason);
    // SAFETY: unshare takes flags and touches no memory of ours.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER) })
        .map_err(refused(USER_NAMESPACE))?;
    // Without this, an unprivileged process may not write its gid_map.
    fs::write("/proc/self/setgroups", "deny")
        .map_err(refused("write /proc/self/setgroups"))?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", uid.0, uid.1))
        .map_err(refused("write /proc/self/uid_map"))?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", gid.0, gid.1))
        .map_err(refused("write /proc/self/gid_map"))
}

fn unshare_network() -> Result<(), Refusal> {
    // SAFETY: unshare takes flags and touches no memory of ours.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map_err(|reason| {
        Refusal::new("unshare(CLONE_NEWNET)", reason, ALLOW_USER_NAMESPACES)
    })
}

/// Sets `IFF_UP` on `lo`, which gives it `127.0.0.1` and `::1`: `netdevice(7)`.
fn raise_loopback() -> io::Result<()> {
    // SAFETY: socket takes three numbers; the descriptor it returns is ours alone.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(fd)?;
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: an ifreq of zeros is a valid value: it holds only numbers and arrays.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) })
}

/// Runs `attempt` in a forked child, to learn whether it would work here.
fn in_child(attempt: impl Fn() -> Result<(), Refusal>) -> Result<(), Refusal> {
    // The steps of `attempt`, so that an exit status can say which one failed.
    const STEPS: [&str; 5] = [
        USER_NAMESPACE,
        "write /proc/self/setgroups",
        "write /proc/self/uid_map",
        "write /proc/self/gid_map",
        "unshare(CLONE_NEWNET)",
    ];
    let (mut reader, mut writer) = io::pipe()
        .map_err(|reason| Refusal::new("make a pipe", reason, ALLOW_USER_NAMESPACES))?;
    // SAFETY: the process has one thread, so the child may use all that it inherits; it
    // leaves by _exit, and so runs nothing of the parent's.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        if let Err(refusal) = attempt() {
            let step =
                STEPS.iter().position(|step| *step == refusal.attempt()).unwrap_or(0);
            let errno = refusal.reason().raw_os_error().unwrap_or(libc::EPERM);
            let _ = io::Write::write_all(&mut writer, &[step as u8, errno as u8]);
        }
        // SAFETY: _exit ends the child at once.
        unsafe { libc::_exit(0) };
    }
    drop(writer);
    check(pid)
        .map_err(|reason| Refusal::new("fork", reason, "try again with more memory"))?;
    let mut answer = Vec::new();
    let read = io::Read::read_to_end(&mut reader, &mut answer);
    let mut status = 0;
    // SAFETY: waits for the child just made, and writes its status to an int of ours.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
    if libc::WIFSIGNALED(status) {
        // A filter may kill whoever asks (SIGSYS, seccomp(2)) instead of returning an error.
        return Err(Refusal::new(
            "unshare",
            io::Error::other(format!(
                "whoever asks is killed by signal {}",
                libc::WTERMSIG(status)
            )),
            ALLOW_USER_NAMESPACES,
        ));
    }
    match (read, answer[..].first_chunk::<2>()) {
        (Ok(_), None) => Ok(()),
        (_, Some(&[step, errno])) => Err(refusal(
            STEPS[usize::from(step)],
            io::Error::from_raw_os_error(i32::from(errno)),
        )),
        (Err(reason), None) => {
            Err(Refusal::new("read the child's answer", reason, ALLOW_USER_NAMESPACES))
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
