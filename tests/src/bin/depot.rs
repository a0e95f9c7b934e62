//! The program that whole-process tests run.
updraft::main!(updraft_tests);
