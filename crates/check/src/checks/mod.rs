//! The tasks and their checks, a file a task.

mod servers;
mod services;
mod tcp_echo;
mod tcp_echo_client;
mod udp_echo;
mod udp_echo_client;

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
];

/// The pages that a report sends its reader to.
pub(crate) mod page {
    pub(crate) const TCP: &str = "lessons/02-tcp-echo/README.md";
    pub(crate) const UDP: &str = "lessons/03-udp-echo/README.md";
}

/// A statement from `crates/check/tasks/`.
macro_rules! statement {
    ($name:literal) => {
        include_str!(concat!("../../tasks/", $name, "/task.md"))
    };
}
pub(crate) use statement;
