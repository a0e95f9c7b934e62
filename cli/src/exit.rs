//! How a command ends. Scripts rely on the codes.

use std::process::ExitCode;

/// What a command returns.
pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Diagnostics with errors, which have been shown: 1.
    Diagnostics,
    /// A handler that was called failed: 1.
    Failed(String),
    /// The command line, or what it points at, makes no sense: 2.
    Usage(String),
    /// The outside failed: cargo, a registry, a disk, a port: 3.
    Outside(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Diagnostics | Failure::Failed(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Outside(_) => 3,
        })
    }
}
