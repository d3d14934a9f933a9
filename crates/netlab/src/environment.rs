//! The environment of a run: its variables, the programs on `PATH`, the checkout.
#![allow(unsafe_code, reason = "newlocale(3) has no form in std")]

use std::env;
#[cfg(unix)]
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::OnceLock;

/// The variables that every program of a run gets, so that it prints the same text
/// everywhere: no colours, no translations, and no buffering by Python when it writes to
/// a pipe.
pub fn variables() -> [(&'static str, &'static str); 5] {
    [
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("LC_ALL", locale()),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ]
}

/// The plain locale with UTF-8 where the system has it, and the `C` locale elsewhere.
#[cfg(unix)]
fn locale() -> &'static str {
    const UTF_8: &CStr = c"C.UTF-8";
    static HAS: OnceLock<bool> = OnceLock::new();
    let has = *HAS.get_or_init(|| {
        // SAFETY: the name is NUL-terminated, no locale is changed, and what was made is
        // freed.
        unsafe {
            let locale =
                libc::newlocale(libc::LC_ALL_MASK, UTF_8.as_ptr(), std::ptr::null_mut());
            if !locale.is_null() {
                libc::freelocale(locale);
            }
            !locale.is_null()
        }
    });
    if has { "C.UTF-8" } else { "C" }
}

#[cfg(not(unix))]
fn locale() -> &'static str {
    "C"
}

/// Finds the first executable file of this name in the folders of `PATH`, as `execvp(3)`
/// does.
pub fn on_path(program: impl AsRef<Path>) -> Option<PathBuf> {
    let mut name = program.as_ref().as_os_str().to_owned();
    name.push(env::consts::EXE_SUFFIX);
    let folders = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut files = env::split_paths(&folders).map(|folder| folder.join(&name));
    files.find(|file| executable(file).is_ok())
}

/// Checks that a file can be run.
///
/// # Errors
/// The file does not exist, is not a regular file, or has no execute permission.
pub fn executable(file: &Path) -> io::Result<()> {
    let found = file.metadata()?;
    #[cfg(unix)]
    let permitted = {
        use std::os::unix::fs::PermissionsExt as _;
        found.permissions().mode() & 0o111 != 0
    };
    #[cfg(not(unix))]
    let permitted = true;
    if found.is_file() && permitted {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// The root of the checkout: the nearest folder that contains `landmark`, at or above the
/// package that cargo is running, or else above `built_from` (the caller's
/// `CARGO_MANIFEST_DIR` when it was built).
///
/// Cargo sets the variable for what it runs, and that comes first: a checkout that was
/// moved is not rebuilt, and two checkouts can share a target folder.
pub fn checkout(landmark: &str, built_from: &str) -> PathBuf {
    let runs_from = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let built_from = Path::new(built_from);
    let above = runs_from.iter().flat_map(|path| path.ancestors());
    let mut above = above.chain(built_from.ancestors());
    above.find(|path| path.join(landmark).is_dir()).unwrap_or(built_from).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_is_on_the_path_and_a_folder_or_a_text_is_no_program() {
        let shell = on_path("sh").expect("every Unix has sh");
        assert!(shell.is_absolute(), "{shell:?}");
        assert_eq!(on_path("no-such-program-of-this-name"), None);
        let folder = executable(Path::new("/"));
        assert_eq!(folder.map_err(|it| it.kind()), Err(io::ErrorKind::PermissionDenied));
        let text = executable(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        assert_eq!(text.map_err(|it| it.kind()), Err(io::ErrorKind::PermissionDenied));
    }

    #[test]
    fn the_checkout_is_the_nearest_folder_with_the_landmark() {
        let root = checkout("crates/netlab", env!("CARGO_MANIFEST_DIR"));
        assert!(root.join("ARCHITECTURE.md").is_file(), "{root:?}");
        let none = checkout("no-such-landmark", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(none, Path::new(env!("CARGO_MANIFEST_DIR")));
    }
}
