//! Effects once: a handler with `once` records which messages it is done with, and passes those over when they come again.
//! `contracts` says what that promises; each mode keeps the record where it keeps its state.

/// The store of claims and completions. No declaration can have this id.
pub(crate) const COMPLETIONS: &str = ".once";

/// Where a message's completion by a handler is.
pub(crate) fn key(handler: &str, message: &str) -> String {
    format!("{handler}/{message}")
}
