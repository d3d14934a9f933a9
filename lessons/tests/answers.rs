//! Tests the answers to exercises that change a program: each change is made in a copy,
//! as a learner would make it, and what the copy prints is compared with the answer.
//!
//! Lines that the page gives are taken from the page, so that they are known to compile.
//! All copies are built at once, as programs of one package outside the workspace.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::Program;

/// What the exercise asks for.
enum Edit {
    /// Inserts the page's lines before the line that begins like this.
    Before(&'static str),
    /// Puts the page's lines in place of the line that begins like this.
    InPlaceOf(&'static str),
    /// Replaces the first text by the second; the page describes it in a sentence.
    Words(&'static str, &'static str),
}

struct Exercise {
    page: &'static str,
    number: usize,
    program: &'static str,
    edits: &'static [Edit],
    /// How to run it, and words that it must print; if `None`, it only has to build.
    run: Option<(&'static [&'static str], &'static [&'static str])>,
    /// Words of the answer that the run confirms.
    answer: &'static str,
}

const BOTH_ENDS: &str = "lessons/01-what-is-a-socket/src/bin/tcp-both-ends.rs";
const FULL: &str = "lessons/08-writes-that-do-not-fit/src/bin/tcp-both-ends-full.rs";

const EXERCISES: &[Exercise] = &[
    Exercise {
        page: "01-what-is-a-socket",
        number: 2,
        program: BOTH_ENDS,
        edits: &[Edit::Before("    let address = arguments.address.resolve()?;")],
        run: Some((
            &["--port", "0"],
            &[
                "socket   file descriptor 4",
                "socket   file descriptor 5",
                "accept   file descriptor 6",
            ],
        )),
        answer: "4, 5 and 6.",
    },
    Exercise {
        page: "01-what-is-a-socket",
        number: 3,
        program: BOTH_ENDS,
        edits: &[
            Edit::Words("    listener.listen(128).during(\"listen\", address)?;\n", ""),
            Edit::Words(
                "    client.connect(&server_address).during(\"connect\", address)?;\n",
                "    client.connect(&server_address).during(\"connect\", address)?;\n    \
                 listener.listen(128).during(\"listen\", address)?;\n",
            ),
        ],
        run: Some((
            &["--port", "0"],
            &["connect 127.0.0.1:0: connection refused (ECONNREFUSED)"],
        )),
        answer: "`ECONNREFUSED`, from `connect`",
    },
    Exercise {
        page: "01-what-is-a-socket",
        number: 4,
        program: BOTH_ENDS,
        edits: &[
            Edit::Words("    drop(client);\n", "    drop(connection);\n"),
            Edit::Words(
                "let received = connection.read(&mut buffer).during(\"recv\", address)?;\n    \
                 say!(\"recv     {received} bytes: end",
                "let received = client.read(&mut buffer).during(\"recv\", address)?;\n    \
                 say!(\"recv     {received} bytes: end",
            ),
            Edit::Words(
                "    drop(connection);\n    drop(listener);",
                "    drop(client);\n    drop(listener);",
            ),
        ],
        run: Some((&["--port", "0"], &["recv     0 bytes: end of stream"])),
        answer: "`recv` at the client gives 0.",
    },
    Exercise {
        page: "02-tcp-echo",
        number: 4,
        program: "crates/tcp-server/src/main.rs",
        edits: &[Edit::Before(
            "    let (mut connection, client) = server_socket.accept()",
        )],
        run: None,
        answer: "Five seconds, in `recv`.",
    },
    Exercise {
        page: "02-tcp-echo",
        number: 5,
        program: "crates/tcp-client/src/main.rs",
        edits: &[Edit::InPlaceOf("    client_socket.write_all(message)")],
        run: None,
        answer: "Sometimes both, sometimes only the first half",
    },
    Exercise {
        page: "08-writes-that-do-not-fit",
        number: 1,
        program: FULL,
        edits: &[Edit::Words(
            "const BUFFER_BYTES: usize = 32 * 1024;",
            "const BUFFER_BYTES: usize = 1024;",
        )],
        run: Some((
            &["--port", "0"],
            &[
                "SO_SNDBUF: asked for 1024 bytes, given 4608",
                "SO_RCVBUF: asked for 1024 bytes, given 2304",
            ],
        )),
        answer: "2304 for receiving and 4608 for sending",
    },
    Exercise {
        page: "08-writes-that-do-not-fit",
        number: 2,
        program: FULL,
        edits: &[
            Edit::Words(
                "    listener.set_recv_buffer_size(BUFFER_BYTES).during(\"setsockopt\", \"SO_RCVBUF\")?;\n",
                "",
            ),
            Edit::Words(
                "    client.set_send_buffer_size(BUFFER_BYTES).during(\"setsockopt\", \"SO_SNDBUF\")?;\n",
                "",
            ),
            Edit::Before("    say!(\"The peer receives all that was taken.\")"),
        ],
        run: Some((&["--port", "0"], &["  taken: more than 1 MiB"])),
        answer: "Some megabytes on loopback",
    },
    Exercise {
        page: "08-writes-that-do-not-fit",
        number: 6,
        program: "lessons/08-writes-that-do-not-fit/src/bin/tcp-server-hoard.rs",
        edits: &[Edit::Before("        hoard.extend_from_slice")],
        run: None,
        answer: "more than 1 MiB",
    },
    Exercise {
        page: "09-saying-goodbye",
        number: 1,
        program: "lessons/09-saying-goodbye/src/bin/tcp-both-ends-goodbye.rs",
        edits: &[Edit::Words(
            "    send(&mut theirs, b\"first\")?;\n    wait_for_reset(&theirs);\n",
            "    send(&mut theirs, b\"first\")?;\n",
        )],
        run: None,
        answer: "On loopback nearly always",
    },
    Exercise {
        page: "09-saying-goodbye",
        number: 5,
        program: "lessons/09-saying-goodbye/src/bin/tcp-server-count.rs",
        edits: &[Edit::Before("        count += length;")],
        run: None,
        answer: "A newline behind each message",
    },
    Exercise {
        page: "12-one-at-a-time",
        number: 3,
        program: "lessons/12-one-at-a-time/src/bin/tcp-server-pool.rs",
        edits: &[
            Edit::Words(
                "use std::time::Duration;",
                "use std::time::{Duration, Instant};",
            ),
            Edit::Words(
                "    let mut buffer = [0; 16384];\n",
                "    let end = Instant::now() + Duration::from_secs(2);\n    \
                 let mut buffer = [0; 16384];\n",
            ),
            Edit::Before("        let length = match connection.read"),
        ],
        run: None,
        answer: "is gone after two seconds",
    },
    Exercise {
        page: "13-readiness",
        number: 1,
        program: "lessons/13-readiness/src/bin/tcp-server-epoll.rs",
        edits: &[Edit::Words(
            "&socket, data, EventFlags::IN)",
            "&socket, data, EventFlags::IN | EventFlags::OUT)",
        )],
        run: None,
        answer: "A whole core",
    },
    Exercise {
        page: "13-readiness",
        number: 2,
        program: "lessons/13-readiness/src/bin/tcp-server-epoll-edge.rs",
        edits: &[Edit::Words(" && !self.ending;", ";")],
        run: None,
        answer: "`rfc862/5`",
    },
    Exercise {
        page: "14-completion",
        number: 1,
        program: "lessons/14-completion/src/bin/tcp-both-ends-ring.rs",
        edits: &[Edit::Before("        let fd = Fd(client.as_raw_fd());")],
        run: Some((
            &["--port", "0"],
            &[
                "1 handed over, and nobody waits\nthe rings: 0 requests, 0 completions",
                "done: 1 received hello",
            ],
        )),
        answer: "`1 handed over, and nobody waits`",
    },
    Exercise {
        page: "14-completion",
        number: 3,
        program: "lessons/14-completion/src/bin/tcp-server-tokio.rs",
        edits: &[
            Edit::Words(
                "    let mut buffer = vec![0; 16384];\n    loop {\n",
                "    loop {\n",
            ),
            Edit::InPlaceOf("        let length = connection.read(&mut buffer)"),
        ],
        run: None,
        answer: "`continue` is needed",
    },
    Exercise {
        page: "14-completion",
        number: 4,
        program: "lessons/14-completion/src/bin/tcp-server-future.rs",
        edits: &[
            Edit::Before("    async fn wait_for(shared"),
            Edit::Words(
                "            let mut left = &buffer[..length];\n",
                "            after(shared, Duration::from_millis(100)).await?;\n            \
                 let mut left = &buffer[..length];\n",
            ),
        ],
        run: None,
        answer: "in `epoll_wait`, as always",
    },
    Exercise {
        page: "15-measuring",
        number: 1,
        program: "lessons/12-one-at-a-time/src/bin/tcp-server-threads.rs",
        edits: &[Edit::Words("[0; 16384]", "vec![0; 256 * 1024]")],
        run: None,
        answer: "a third less processor time",
    },
];

#[test]
fn changed_programs_say_what_the_answers_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("answers");
    // Beside the workspace's own, so that what both depend on is built only once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let _ = fs::remove_dir_all(package.join("src"));
    fs::create_dir_all(package.join("src/bin")).unwrap();
    for exercise in EXERCISES {
        let source = changed(root, exercise);
        let file = format!("src/bin/{}.rs", name(exercise));
        fs::write(package.join(file), source).unwrap();
    }
    fs::write(package.join("Cargo.toml"), manifest(root)).unwrap();
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--offline", "--bins"]).current_dir(&package);
    let build = build.env("CARGO_TARGET_DIR", target).output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    for exercise in EXERCISES {
        let Some((arguments, words)) = exercise.run else { continue };
        let program = target.join("debug").join(name(exercise));
        let mut command = Command::new(program);
        let finished = Program::start(command.args(arguments)).finish();
        let said = finished.stdout + &finished.stderr;
        for word in words {
            assert!(said.contains(word), "{}: no `{word}` in:\n{said}", name(exercise));
        }
    }
}

fn name(exercise: &Exercise) -> String {
    format!("answer-{}-{}", exercise.page, exercise.number)
}

/// The copy of the program, with the change.
fn changed(root: &Path, exercise: &Exercise) -> String {
    let page = root.join("lessons").join(exercise.page).join("README.md");
    let item = item(&fs::read_to_string(page).unwrap(), exercise.number);
    let name = name(exercise);
    assert!(item.contains(exercise.answer), "{name}: no `{}`", exercise.answer);
    let file: PathBuf = root.join(exercise.program);
    let mut source = fs::read_to_string(file).unwrap();
    for edit in exercise.edits {
        let (from, to) = match edit {
            Edit::Words(from, to) => ((*from).to_owned(), (*to).to_owned()),
            Edit::Before(line) => ((*line).to_owned(), given(&item) + line),
            Edit::InPlaceOf(start) => {
                let line = source.lines().find(|line| line.starts_with(start)).unwrap();
                (line.to_owned(), given(&item))
            }
        };
        assert_eq!(source.matches(&from).count(), 1, "{name}: `{from}`");
        source = source.replace(&from, &to);
    }
    source
}

/// An exercise with its answer, without the indentation of its list.
fn item(page: &str, number: usize) -> String {
    let exercises = page.split("\n## Try it yourself\n").nth(1).unwrap();
    let begins = |line: &str, number: usize| line.starts_with(&format!("{number}. "));
    exercises
        .lines()
        .skip_while(|line| !begins(line, number))
        .take_while(|line| !begins(line, number + 1) && !line.starts_with('#'))
        .map(|line| line.strip_prefix("   ").unwrap_or(line).to_owned() + "\n")
        .collect()
}

/// The lines of Rust that an exercise gives.
fn given(item: &str) -> String {
    let block = item.split("```rust\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The manifest of a separate package with the dependencies of the lessons' programs.
fn manifest(root: &Path) -> String {
    let common = root.join("crates/common");
    let one_at_a_time = root.join("lessons/12-one-at-a-time");
    let shared = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let row = |name: &str| {
        let start = format!("{name} = ");
        shared.lines().find(|line| line.starts_with(&start)).unwrap().to_owned()
    };
    format!(
        "[package]\nname = \"answers\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         publish = false\n\n[workspace]\n\n[dependencies]\ncommon = {{ path = {common:?} }}\n\
         one-at-a-time = {{ path = {one_at_a_time:?} }}\n{}\n\n\
         [profile.dev]\ndebug = false\nincremental = false\n",
        ["clap", "socket2", "rustix", "signal-hook", "io-uring", "libc", "tokio"]
            .map(row)
            .join("\n")
    )
}
