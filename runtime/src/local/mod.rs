//! What a laptop needs beside engines: settings, secrets, stand-ins for what is outside, and a log that people read.

pub mod chaos;
mod control;
mod letters;
pub mod log;
pub mod options;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod presigned;
pub mod run;
pub mod secrets;
pub mod settings;
pub mod stand_ins;
