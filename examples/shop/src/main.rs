//! The program: it names the crates that hold handlers, its own library first.
updraft::main!(shop, audit);
