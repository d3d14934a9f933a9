//! The tasks and their checks, one file per task.

mod chat;
mod confirm_client;
mod crowd;
mod download;
mod drain;
mod every_address_client;
mod first_client;
mod framing;
mod goodbye;
mod http;
mod json_lines;
mod load;
mod once_server;
mod proxy;
mod queue;
mod resp;
mod retry_client;
mod sealed_file;
mod servers;
mod services;
mod slow_readers;
mod steady_client;
mod tcp_echo;
mod tcp_echo_client;
mod udp_echo;
mod udp_echo_client;
mod udp_key_value;
mod whoami;

use crate::task::Task;

/// All tasks, in the order of the course.
pub const TASKS: &[Task] = &[
    first_client::TASK,
    tcp_echo::TASK,
    tcp_echo_client::TASK,
    services::echo::TCP,
    services::discard::TCP,
    services::chargen::TCP,
    services::daytime::TCP,
    services::time::TCP,
    udp_echo::TASK,
    udp_echo_client::TASK,
    services::echo::UDP,
    services::discard::UDP,
    services::chargen::UDP,
    services::daytime::UDP,
    services::time::UDP,
    whoami::TASK,
    queue::TASK,
    confirm_client::TASK,
    every_address_client::TASK,
    framing::TASK,
    download::TASK,
    goodbye::TASK,
    resp::TASK,
    udp_key_value::TASK,
    proxy::TASK,
    chat::TASK,
    json_lines::TASK,
    http::TASK,
    sealed_file::TASK,
    steady_client::TASK,
    retry_client::TASK,
    once_server::TASK,
    slow_readers::TASK,
    drain::TASK,
    crowd::TASK,
    load::TASK,
];

/// The pages that a report refers its reader to.
pub(crate) mod page {
    pub(crate) const SOCKET: &str = "lessons/01-what-is-a-socket/README.md";
    pub(crate) const TCP: &str = "lessons/02-tcp-echo/README.md";
    pub(crate) const UDP: &str = "lessons/03-udp-echo/README.md";
    pub(crate) const PORT: &str = "lessons/04-who-is-on-the-port/README.md";
    pub(crate) const KERNEL: &str = "lessons/05-the-kernel-answers-first/README.md";
    pub(crate) const REFUSED: &str = "lessons/06-refused-or-timed-out/README.md";
    pub(crate) const FRAMING: &str = "lessons/07-framing/README.md";
    pub(crate) const WRITES: &str = "lessons/08-writes-that-do-not-fit/README.md";
    pub(crate) const GOODBYE: &str = "lessons/09-saying-goodbye/README.md";
    pub(crate) const PROMISES: &str = "lessons/10-tcps-promises/README.md";
    pub(crate) const CUT: &str = "lessons/10-tcps-promises/cut.md";
    pub(crate) const RETRY: &str = "lessons/11-what-udp-does-not-promise/README.md";
    pub(crate) const READINESS: &str = "lessons/13-readiness/README.md";
    pub(crate) const MEASURING: &str = "lessons/15-measuring/README.md";
    pub(crate) const THREADS: &str = "lessons/12-one-at-a-time/README.md";
}

/// Includes the statement of a task from `crates/check/tasks/`.
macro_rules! statement {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tasks/", $name, "/task.md"))
    };
}
pub(crate) use statement;

/// Returns all tasks, in the order of the course.
pub fn all() -> Vec<Task> {
    TASKS.to_vec()
}

/// Returns the task that a user's word means: its name, its folder, or the number of its
/// lesson if that has only one task.
///
/// # Errors
/// Fails with a message that suggests what to write instead.
pub fn find(word: &str) -> Result<Task, String> {
    let tasks = all();
    if let Some(task) = tasks.iter().find(|it| it.name == word || it.folder() == word) {
        return Ok(*task);
    }
    let number: Option<u32> = word.parse().ok();
    let mut of_lesson =
        tasks.iter().filter(|it| Some(it.lesson) == number && !it.optional);
    match (of_lesson.next(), of_lesson.next()) {
        (Some(task), None) => Ok(*task),
        (Some(first), Some(second)) => Err(format!(
            "find task `{word}`: the lesson has {} and {}; name one of them",
            first.name, second.name
        )),
        _ => {
            let near = nearest(word, &tasks);
            let word = common::Escaped(word.as_bytes());
            let help = match near {
                Some(name) => format!("did you mean `{name}`? "),
                None => String::new(),
            };
            Err(format!(
                "find task `{word}`: no such task; {help}`cargo xtask check --list` lists \
                 them all"
            ))
        }
    }
}

/// Returns the task whose name is so similar to this word that it was probably meant.
fn nearest(word: &str, tasks: &[Task]) -> Option<&'static str> {
    const ALIKE: f64 = 0.75;
    tasks
        .iter()
        .map(|task| (strsim::jaro_winkler(word, task.name), task.name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (word, name) in [
            ("tcp-ecko", Some("tcp-echo")),
            ("frame", Some("framing")),
            ("goodby", Some("goodbye")),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(word, TASKS), name, "{word}");
        }
    }
}
