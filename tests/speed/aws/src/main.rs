//! The application.

updraft::main!(updraft_speed_aws);
