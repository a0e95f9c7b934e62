//! The program: every handler is in the library.

updraft::main!(ledger);
