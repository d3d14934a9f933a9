//! Finds the lines of a program's own source with its debug information.
//!
//! A call comes through the library of the program's language, and often through other
//! libraries that are linked into it. The line that a reader is looking for is in none of
//! these. Where the source of a library was when it was built says whose it is.

use std::fs::File;
use std::path::Path;

use addr2line::Loader;
use object::{Object as _, ObjectSymbol as _};

use crate::event::Source;

/// Parts of paths that mark the sources of libraries: Rust's own, crates from a registry,
/// the C library.
const LIBRARIES: &[&str] =
    &["/rustc/", "/.cargo/registry/", "/.cargo/git/", "/rustlib/src/", "/csu/"];

/// Where systems keep the headers and sources of what is installed.
const SYSTEM: &[&str] = &["/usr/include/", "/usr/lib/", "/usr/local/include/"];

/// Programs that run programs in another language: lines of their own source say nothing
/// about those.
const RUNTIMES: &[&str] =
    &["node", "nodejs", "deno", "bun", "java", "perl", "php", "python", "ruby"];

/// A function of Go's runtime that is in every Go program, and where its source is below
/// the folder of Go's library.
const GO_FUNCTION: &str = "runtime.main";
const GO_FILE: &str = "runtime/proc.go";

/// The folders of Go's library, for a program whose paths were trimmed (`-trimpath`).
const GO_FOLDERS: &[&str] = &[
    "bufio/",
    "bytes/",
    "compress/",
    "context/",
    "crypto/",
    "encoding/",
    "fmt/",
    "internal/",
    "io/",
    "log/",
    "net/",
    "os/",
    "reflect/",
    "runtime/",
    "strings/",
    "sync/",
    "syscall/",
    "time/",
    "vendor/",
];

/// A program's debug information, and which parts of it are not about the program itself.
pub(super) struct DebugInfo {
    loader: Loader,
    /// If it is written in Go, the prefix of the path of each file in Go's library; empty
    /// if the paths were trimmed.
    go: Option<String>,
}

impl DebugInfo {
    /// The lines of the program at this path; `None` if it has no debug information, or
    /// none about the program that it runs.
    pub(super) fn of(path: &Path) -> Option<DebugInfo> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Python is called `python3.11`.
        let name = name.trim_end_matches(|it: char| it == '.' || it.is_ascii_digit());
        if RUNTIMES.contains(&name) {
            return None;
        }
        let loader = Loader::new(path).ok()?;
        loader.get_section_range(b".debug_line")?;
        let go = go_library(path, &loader);
        Some(DebugInfo { loader, go })
    }

    /// The line of the program's own source at an address: the innermost one, seen
    /// through inlined functions.
    pub(super) fn own_line(&self, address: u64) -> Option<Source> {
        let mut frames = self.loader.find_frames(address).ok()?;
        while let Ok(Some(frame)) = frames.next() {
            if let Some(location) = frame.location
                && let (Some(file), Some(line)) = (location.file, location.line)
                && is_own(file, self.go.as_deref())
                && line > 0
            {
                return Some(Source { file: file.to_owned(), line });
            }
        }
        None
    }
}

/// Whether a source file is the program's own; `go` is as in [`DebugInfo`].
fn is_own(file: &str, go: Option<&str>) -> bool {
    let file = without_dot(file);
    let is_go_library = match go {
        None => false,
        Some("") => GO_FOLDERS.iter().any(|folder| file.starts_with(folder)),
        Some(library) => file.starts_with(library),
    };
    // A module that the program uses is in a folder with its version, or in `vendor`.
    let is_go_module = go.is_some() && (file.contains("@v") || file.contains("/vendor/"));
    !is_go_library
        && !is_go_module
        && !file.starts_with('<')
        && !LIBRARIES.iter().any(|part| file.contains(part))
        && !SYSTEM.iter().any(|folder| file.starts_with(folder))
}

/// Where the source of Go's library was, if the program is written in Go: found from a
/// function whose file is known.
fn go_library(path: &Path, loader: &Loader) -> Option<String> {
    loader.get_section_range(b".gopclntab")?;
    let bytes = object::ReadCache::new(File::open(path).ok()?);
    let file = object::File::parse(&bytes).ok()?;
    let address = file
        .symbols()
        .find(|symbol| symbol.name() == Ok(GO_FUNCTION))
        .map(|symbol| symbol.address())?;
    let location = loader.find_location(address).ok()??;
    without_dot(location.file?).strip_suffix(GO_FILE).map(str::to_owned)
}

/// A trimmed path is one below the folder `.`.
fn without_dot(file: &str) -> &str {
    file.strip_prefix("./").unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_not_the_program() {
        let own = |file| is_own(file, None);
        assert!(own("/home/me/server/src/main.rs"));
        assert!(own("server.c"));
        // Docker images keep a program's own source there.
        assert!(own("/usr/src/app/main.c"));
        for file in [
            "/rustc/0123abcd/library/std/src/net/tcp.rs",
            "/home/me/.cargo/registry/src/index/socket2-0.5.0/src/lib.rs",
            "/usr/include/x86_64-linux-gnu/bits/socket2.h",
            "../csu/libc-start.c",
            "<autogenerated>",
        ] {
            assert!(!own(file), "{file}");
        }
    }

    #[test]
    fn the_library_of_go_is_where_its_runtime_is() {
        let own = |file| is_own(file, Some("/opt/go/src/"));
        assert!(own("/home/me/net/server.go"));
        assert!(!own("/opt/go/src/net/fd_posix.go"));
        assert!(!own("/home/me/go/pkg/mod/golang.org/x/net@v0.1.0/http2/server.go"));
        assert!(!own("/home/me/server/vendor/golang.org/x/net/http2/server.go"));
        // Trimmed paths.
        assert!(is_own("./example.com/server/main.go", Some("")));
        assert!(!is_own("./net/fd_posix.go", Some("")));
        assert!(!is_own("golang.org/x/net@v0.1.0/http2/server.go", Some("")));
    }

    #[test]
    fn a_runtime_has_no_lines_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let has_lines = |name: &str| {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &path).unwrap();
            DebugInfo::of(&path).is_some()
        };
        assert!(has_lines("server"));
        for name in ["node", "python3", "python3.11", "java", "ruby3.1"] {
            assert!(!has_lines(name), "{name}");
        }
    }
}
