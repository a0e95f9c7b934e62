//! The ledger's program as a process of its own, and what is asked of it.

#![allow(dead_code, reason = "shared by test binaries, not all of which use all of it")]

use std::fs::{File, read_to_string};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process, killed when dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts the program as `command` says; what it writes goes to the file `log`.
    pub fn start(mut command: Command, log: PathBuf) -> Program {
        let file = File::create(&log).expect("a file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
        Program { child: command.spawn().expect("the program"), log }
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it listens, once its log says so.
    pub fn address(&mut self) -> String {
        let listening = |log: &str| Some(log.split_once("Listening http://")?.1.split_whitespace().next()?.to_owned());
        self.wait(|program| listening(&program.log()))
    }

    /// Waits for something to be, while the program runs.
    pub fn wait<T>(&mut self, mut what: impl FnMut(&mut Program) -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = what(self) {
                return found;
            }
            let ended = self.child.try_wait().expect("a status");
            assert!(ended.is_none(), "it ended ({ended:?}):\n{}", self.log());
            assert!(since.elapsed() < PATIENCE, "it takes too long:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    /// SIGTERM, and its end.
    pub fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("`kill`").success());
        self.ended()
    }

    /// Its end.
    pub fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request and its answer: status and body; `None` if nobody answers.
pub fn ask(address: &str, method: &str, path: &str, json: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = json.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{json}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
