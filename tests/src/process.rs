//! The depot (or another application's program) as a process of its own, started the way a cluster would.

use crate::http::Http;
use crate::servers::free_port;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a process is started with: a binding, secrets, variables.
#[derive(Clone)]
pub struct Setup {
    folder: Arc<TempDir>,
    binding: Value,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// A binding for these units of the depot, without engines.
    pub fn depot() -> Self {
        let units = crate::depot::units().into_iter().map(|(unit, handlers)| {
            let handlers: Vec<_> = handlers.iter().map(|name| format!("updraft_tests::depot::{name}")).collect();
            (unit.to_owned(), json!({ "handlers": handlers }))
        });
        let mut units: serde_json::Map<String, Value> = units.collect();
        units.insert("dead-letter".to_owned(), json!({ "handlers": [], "dead_letters": true }));
        let graph = updraft::registry::graph_hash().expect("readable descriptors");
        Self::of(json!({ "format": 1, "app": "depot", "graph": graph, "units": units, "resources": {} }))
    }

    /// This binding.
    pub fn of(binding: Value) -> Self {
        Setup { folder: Arc::new(tempfile::tempdir().expect("a folder")), binding, variables: Vec::new() }
    }

    /// Sets a member of the binding; `at` is a JSON pointer.
    #[must_use]
    pub fn bind(mut self, at: &str, value: Value) -> Self {
        let mut place = &mut self.binding;
        for name in at.split('/') {
            place = place.as_object_mut().expect("an object").entry(name.to_owned()).or_insert_with(|| json!({}));
        }
        *place = value;
        self
    }

    /// The binding as JSON.
    pub fn binding(&self) -> String {
        self.binding.to_string()
    }

    /// Mounts a secret.
    #[must_use]
    pub fn secret(self, id: &str, value: &str) -> Self {
        let folder = self.folder.path().join("secrets").join(id);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("value"), value).expect("a secret");
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts `program` as this unit with this face, without waiting for anything.
    pub fn start(&self, program: &str, unit: &str, face: &str) -> Running {
        self.start_at(program, unit, face, free_port())
    }

    /// The same at this port.
    pub fn start_at(&self, program: &str, unit: &str, face: &str, port: u16) -> Running {
        let binding = self.folder.path().join("binding.json");
        std::fs::write(&binding, self.binding()).expect("a binding");
        let mut command = self.command(program);
        command.env("UPDRAFT_BINDING", binding).env("UPDRAFT_UNIT", unit).env("UPDRAFT_FACE", face);
        self.run(command, port)
    }

    /// The same without a binding.
    pub fn start_without_binding(&self, program: &str) -> Running {
        self.run(self.command(program), free_port())
    }

    fn run(&self, mut command: Command, port: u16) -> Running {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let output = std::fs::OpenOptions::new().append(true).open(log.path()).expect("a file");
        command.env("PORT", port.to_string()).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a file")).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("can't start {command:?}: {error}"));
        Running { child: Some(child), port, log, _folder: self.folder.clone() }
    }

    /// An environment like a container's: empty, but for what was set, and a folder that is not the tests' own.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(program));
        command.env_clear().current_dir(self.folder.path());
        command.env("UPDRAFT_SECRETS_DIR", self.folder.path().join("secrets"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A process, killed when dropped.
pub struct Running {
    child: Option<Child>,
    port: u16,
    log: tempfile::NamedTempFile,
    /// What it was started with stays while it runs.
    _folder: Arc<TempDir>,
}

impl Running {
    /// A URL of the process.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it wrote so far, to standard output and error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// Its id.
    ///
    /// # Panics
    /// If it has ended.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Waits until `/_updraft/readyz` answers with this status.
    ///
    /// # Panics
    /// If it doesn't in time.
    pub async fn answers(&mut self, status: u16) {
        let (started, http) = (Instant::now(), Http::one());
        loop {
            let answer = http.send("GET", &self.url("/_updraft/readyz"), &[], "").await;
            if answer.as_ref().is_ok_and(|answer| answer.status == status) {
                return;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "it ended ({ended:?}):\n{}", self.log());
            assert!(started.elapsed() < PATIENCE, "{answer:?}, not {status}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// If it isn't in time.
    pub async fn ready(mut self) -> Self {
        self.answers(200).await;
        self
    }

    /// Asks it to end, as the kubelet does.
    ///
    /// # Panics
    /// If there is no `kill`.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "can't send SIGTERM");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it doesn't end in time.
    pub async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().expect("it was started").try_wait().expect("a status") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
