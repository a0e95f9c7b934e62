//! Access: how far a capability goes, said in its type and checked by bounds with our words.

/// One of [`ReadOnly`], [`WriteOnly`] and [`ReadWrite`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no access",
    label = "needs `ReadOnly`, `WriteOnly` or `ReadWrite`"
)]
pub trait AccessMode: Send + Sync + 'static {
    /// `read`, `write` or `read-write`.
    const ACCESS: &'static str;
}

/// Access that covers writing.
#[diagnostic::on_unimplemented(
    message = "this is taken as `{Self}`: it can't be written",
    label = "writes",
    note = "leave the access away in the handler's parameter (`Store<Name>`), or take it as `WriteOnly`"
)]
pub trait CanWrite: AccessMode {}

/// Access that covers reading.
#[diagnostic::on_unimplemented(
    message = "this is taken as `{Self}`: it can't be read",
    label = "reads",
    note = "leave the access away in the handler's parameter (`Store<Name>`), or take it as `ReadOnly`"
)]
pub trait CanRead: AccessMode {}

macro_rules! access {
    ($($(#[$doc:meta])* $mode:ident = $name:literal: $($can:ident),*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $mode;
        impl AccessMode for $mode {
            const ACCESS: &'static str = $name;
        }
        $(impl $can for $mode {})*
    )*};
}
access! {
    /// Reads only.
    ReadOnly = "read": CanRead;
    /// Writes only.
    WriteOnly = "write": CanWrite;
    /// Reads and writes: what a parameter takes that says nothing.
    ReadWrite = "read-write": CanRead, CanWrite;
}
