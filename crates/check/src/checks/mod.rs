//! The tasks and their checks, a file a task.

mod confirm_client;
mod download;
mod every_address_client;
mod framing;
mod goodbye;
mod queue;
mod servers;
mod services;
mod tcp_echo;
mod tcp_echo_client;
mod udp_echo;
mod udp_echo_client;
mod whoami;

use crate::task::Task;

/// All tasks, in the order of the course.
pub const TASKS: &[Task] = &[
    tcp_echo::TASK,
    tcp_echo_client::TASK,
    services::ECHO,
    services::DISCARD,
    services::CHARGEN,
    services::DAYTIME,
    services::TIME,
    udp_echo::TASK,
    udp_echo_client::TASK,
    services::ECHO_UDP,
    services::DISCARD_UDP,
    services::CHARGEN_UDP,
    services::DAYTIME_UDP,
    services::TIME_UDP,
    whoami::TASK,
    queue::TASK,
    confirm_client::TASK,
    every_address_client::TASK,
    framing::TASK,
    download::TASK,
    goodbye::TASK,
];

/// The pages that a report sends its reader to.
pub(crate) mod page {
    pub(crate) const TCP: &str = "lessons/02-tcp-echo/README.md";
    pub(crate) const UDP: &str = "lessons/03-udp-echo/README.md";
    pub(crate) const PORT: &str = "lessons/04-who-is-on-the-port/README.md";
    pub(crate) const KERNEL: &str = "lessons/05-the-kernel-answers-first/README.md";
    pub(crate) const REFUSED: &str = "lessons/06-refused-or-timed-out/README.md";
    pub(crate) const FRAMING: &str = "lessons/07-framing/README.md";
    pub(crate) const WRITES: &str = "lessons/08-writes-that-do-not-fit/README.md";
    pub(crate) const GOODBYE: &str = "lessons/09-saying-goodbye/README.md";
}

/// A statement from `crates/check/tasks/`.
macro_rules! statement {
    ($name:literal) => {
        include_str!(concat!("../../tasks/", $name, "/task.md"))
    };
}
pub(crate) use statement;
