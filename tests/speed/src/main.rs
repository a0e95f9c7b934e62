//! The application with Updraft.

updraft::main!(updraft_speed);
