//! For systems without network namespaces: refuses every request, and says why.

use std::io;

use crate::Refusal;

fn refusal() -> Refusal {
    Refusal::new(
        "make a private network",
        io::Error::from(io::ErrorKind::Unsupported),
        "network namespaces are Linux's own; the run uses the host's loopback",
    )
}

/// Always refuses; see the Linux version.
///
/// # Errors
/// Always.
pub fn enter_user_namespace() -> Result<(), Refusal> {
    Err(refusal())
}

/// A private network, which this system does not have: there is no value of this type.
#[derive(Debug)]
pub enum PrivateNetwork {}

impl PrivateNetwork {
    /// Always refuses; see the Linux version.
    ///
    /// # Errors
    /// Always.
    pub fn enter() -> Result<Self, Refusal> {
        Err(refusal())
    }

    /// The processes on this network.
    pub fn processes(&self) -> Vec<u32> {
        match *self {}
    }
}

/// A wire, which this system does not have: there is no value of this type.
#[derive(Debug)]
pub enum Wire {}

impl Wire {
    /// Always refuses; see the Linux version.
    ///
    /// # Errors
    /// Always.
    pub fn open(
        _rules: &crate::wire::Rules,
        _options: crate::wire::Options,
    ) -> Result<Wire, crate::wire::WireError> {
        Err(refusal().into())
    }
}
