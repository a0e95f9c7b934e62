//! The program: it names the crates that hold handlers.
updraft::main!(library);
