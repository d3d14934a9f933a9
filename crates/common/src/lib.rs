//! What the lesson programs share, and no lesson is about: the command line, the form of
//! an error message, and text that is safe to show.
//!
//! Nothing here makes a socket call: socket(2), bind(2) and the like are in the programs,
//! where the reader can see them. The name look-up of `--host` comes closest, and
//! [`Address::resolve`] says what it does.

mod arguments;
mod failure;
mod memory;
mod text;

pub use arguments::{Address, Message, parse_arguments};
pub use failure::{
    During, Failure, exit_code, internet_address, is_out_of_descriptors, report,
};
pub use memory::PeakMemory;
pub use text::{Escaped, PythonAddress, Visible, is_hidden, write_line};
