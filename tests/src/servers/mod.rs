//! Servers that tests run against, started for one test each: on loopback, with a port and a folder of their own, stopped
//! when dropped.
//!
//! A test whose program is absent is skipped in plain sight, unless `UPDRAFT_E2E=required` says that it must run.

mod ministack;
mod redis;
mod s3;
mod secrets;

pub use ministack::MiniStack;
pub use redis::Redis;
pub use s3::S3;
pub use secrets::Secrets;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Where `program` is: in the tools' folder, in `PATH`, or where Debian keeps servers. If it is nowhere, says that the test
/// is skipped.
///
/// # Panics
/// If it is nowhere and `UPDRAFT_E2E=required`.
pub fn program(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        absent(program);
    }
    found
}

/// Where `program` is. If it is nowhere, says that the test is skipped, even where others are required: it only adds to what
/// they show.
pub fn optional(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        skipped(program);
    }
    found
}

fn find(program: &str) -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let tools = std::env::var_os("UPDRAFT_TOOLS").map(PathBuf::from).or(home.map(|home| home.join("updraft-tools")));
    let mut folders: Vec<PathBuf> =
        tools.iter().flat_map(|tools| [tools.join("bin"), tools.join("venv/bin")]).collect();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders.extend(["/usr/bin", "/usr/sbin"].map(PathBuf::from));
    folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Says that a test is skipped because something is absent.
///
/// # Panics
/// If `UPDRAFT_E2E=required`.
pub fn absent(what: &str) {
    let required = std::env::var("UPDRAFT_E2E").is_ok_and(|value| value == "required");
    assert!(!required, "`{what}` is not installed, and UPDRAFT_E2E=required");
    skipped(what);
}

/// Writes to standard error itself: what is printed by macro, the test harness keeps to itself.
fn skipped(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: `{what}` is not installed");
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A program that is killed when dropped.
pub struct Process(Child);

impl Process {
    /// Starts it without input or output.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process(command.spawn().unwrap_or_else(|error| panic!("can't start {command:?}: {error}")))
    }

    /// Starts it and waits until something listens on the port.
    ///
    /// # Panics
    /// If nothing does in time.
    pub fn listening(command: &mut Command, port: u16) -> Self {
        let mut process = Process::start(command);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Ok(Some(status)) = process.0.try_wait() {
                panic!("{command:?} ended with {status}");
            }
            assert!(started.elapsed() < START_TIMEOUT, "{command:?} does not listen on {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
