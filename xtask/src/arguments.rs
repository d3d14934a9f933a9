//! The arguments of a task that passes all of them on to another program.

use std::ffi::OsString;

/// Everything after the name of the task, as it was typed.
#[derive(Debug, Clone, clap::Args)]
#[command(disable_help_flag = true)]
pub struct PassedOn {
    /// See `cargo xtask TASK --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

impl PassedOn {
    /// Returns the arguments. clap drops a `--` that comes first, but the other program
    /// needs it, so look it up in the command line, which is the program, the task, the
    /// arguments.
    pub fn words(&self) -> Vec<OsString> {
        let dropped = std::env::args_os().nth(2).filter(|first| first == "--");
        dropped.into_iter().chain(self.arguments.iter().cloned()).collect()
    }
}
