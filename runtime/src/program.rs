//! `main!`, `run!` and what they have in common: naming the crates that hold handlers.
//!
//! rustc does not even load a crate that nothing mentions, a package's own library included, and its handlers would be gone
//! without a word. So each is named, once.

/// The program: `updraft::main!(shop, audit);`, with the name of each crate that holds handlers.
#[macro_export]
macro_rules! main {
    ($($handlers:ident),* $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::run!($($handlers),*)
        }
    };
}

/// Runs the program from a `main` of your own, and gives its exit code: `updraft::run!(shop, audit)`.
#[macro_export]
macro_rules! run {
    ($($handlers:ident),* $(,)?) => {{
        $(#[allow(unused_imports)] use $handlers as _;)*
        $crate::__private::v1::start(::core::env!("CARGO_PKG_NAME"))
    }};
}
