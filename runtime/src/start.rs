//! What a program does first: it looks at itself.

use crate::registry::{HANDLERS, handlers};
use std::process::ExitCode;

/// The exit code when the outside, or the program's own make, forbids to go on.
pub const REFUSED: u8 = 3;

/// Starts the program that `package` holds.
pub fn start(package: &'static str) -> ExitCode {
    match check(package) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!("{reason}");
            #[allow(
                clippy::print_stderr,
                reason = "whoever started the program reads it here, whatever the log is set to"
            )]
            {
                eprintln!("error: {reason}");
            }
            ExitCode::from(REFUSED)
        }
    }
}

/// Whether the program holds handlers, each under an id of its own.
///
/// # Errors
/// What is wrong, and the way out.
pub fn check(package: &str) -> Result<(), String> {
    if HANDLERS.is_empty() {
        return Err(format!(
            "this program holds no handlers\nhelp: name the crates that hold them, its own library included: \
             `updraft::main!({})`",
            package.replace('-', "_")
        ));
    }
    handlers().map(|_| ())
}
