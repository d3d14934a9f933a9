//! What an ordinary user is told in a chroot, where the kernel makes no user namespace. The
//! harness is custom: the process that enters the chroot must have one thread.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(not(target_os = "linux"))]
    testkit::skip("chroot", "user namespaces need Linux");
    #[cfg(target_os = "linux")]
    if let Err(why) = linux::become_a_user_in_a_chroot() {
        testkit::skip("chroot", &why);
    } else {
        linux::the_refusal_names_the_chroot();
    }
    ExitCode::SUCCESS
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "setuid(2) has no safe form in std")]
mod linux {
    /// `nobody` on most systems; any user but root will do.
    const NOBODY: u32 = 65534;

    /// Enters a folder with nothing in it that is needed, for good.
    pub(super) fn become_a_user_in_a_chroot() -> Result<(), String> {
        let folder = env!("CARGO_TARGET_TMPDIR");
        let needs_root = |error| format!("chroot(2) needs root: {error}");
        std::os::unix::fs::chroot(folder).map_err(needs_root)?;
        std::env::set_current_dir("/").map_err(|error| format!("chdir: {error}"))?;
        // SAFETY: both take a number and touch no memory.
        let result = unsafe { libc::setgid(NOBODY) | libc::setuid(NOBODY) };
        if result != 0 {
            let error = std::io::Error::last_os_error();
            return Err(format!("become user {NOBODY}: {error}"));
        }
        Ok(())
    }

    pub(super) fn the_refusal_names_the_chroot() {
        let refusal = netlab::enter_user_namespace().err().map(|it| it.to_string());
        let expected = "unshare(CLONE_NEWUSER): Operation not permitted (os error 1); the \
            kernel makes no user namespace in a chroot: run it as root, outside of the \
            chroot, or on the host's network";
        assert_eq!(refusal.as_deref(), Some(expected));
    }
}
