//! A PostgreSQL server of our own: a private data directory, a unix socket, no TCP.
//!
//! It runs under a shell that ends it when this process is gone, however it went; what a killed machine leaves behind (a
//! stale pid file) is cleared away at the next start. The data stays.

use super::programs::{self, User, command};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// The role that owns everything.
const ROLE: &str = "updraft";
/// A socket's path has at most 103 bytes on every Unix; this is the part that PostgreSQL adds.
const SOCKET_NAME: &str = ".s.PGSQL.5432.lock";
const LONGEST_SOCKET: usize = 103;
/// How long a start may take, recovery after a crash included.
const START: Duration = Duration::from_secs(60);
/// How long another server may take to end, when its process is gone but it is not yet.
const LEAVING: Duration = Duration::from_secs(20);

/// Runs a server until its standard input closes.
const WHILE_WATCHED: &str = r#""$@" & server=$!
read -r _
kill -INT $server 2>/dev/null
wait $server"#;

/// Where a server's files are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Everything: the data, the log.
    pub(crate) folder: PathBuf,
    /// The folder of its socket.
    pub(crate) socket: PathBuf,
    user: Option<User>,
    bin: PathBuf,
}

impl Place {
    /// Makes the folder, with data in it.
    ///
    /// # Errors
    /// No programs; a folder that can't be made; data of a version that is not installed.
    pub(crate) fn prepare(folder: &Path) -> Result<Place, String> {
        let unmakable = |error: std::io::Error| format!("{}: {error}", folder.display());
        let major = fs::read_to_string(folder.join("data/PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
        let bin = programs::find(major).ok_or(programs::HOW_TO_GET)?;
        private(folder).map_err(unmakable)?;
        let folder = &folder.canonicalize().map_err(unmakable)?;
        // Whose folders this process makes: a file tells.
        let probe = folder.join("owner");
        fs::write(&probe, "").map_err(unmakable)?;
        let user = programs::user(&probe)?;
        let inside = folder.join("socket");
        let socket = if inside.join(SOCKET_NAME).as_os_str().len() <= LONGEST_SOCKET {
            inside
        } else {
            let name = blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex();
            std::env::temp_dir().join(format!("updraft-{}", &name[..16]))
        };
        private(&socket).map_err(|error| format!("{}: {error}", socket.display()))?;
        let place = Place { folder: folder.clone(), socket, user, bin };
        for owned in [&place.folder, &place.socket] {
            place.own(owned).map_err(unmakable)?;
        }
        let owner = fs::metadata(&place.socket).map_err(unmakable)?.uid();
        let ours = fs::metadata(&place.folder).map_err(unmakable)?.uid();
        if owner != ours {
            return Err(format!("{} belongs to another user", place.socket.display()));
        }
        place.initialise()?;
        Ok(place)
    }

    /// Gives a file or folder to whom the server runs as.
    pub(crate) fn own(&self, path: &Path) -> std::io::Result<()> {
        match self.user {
            Some(User { uid, gid }) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// The data, made beside its place and moved there when it is whole.
    fn initialise(&self) -> Result<(), String> {
        let data = self.folder.join("data");
        if data.join("PG_VERSION").exists() {
            return Ok(());
        }
        let fresh = self.folder.join("data.new");
        let mut said = String::new();
        // Text as Unicode knows it, sorted by code point: everywhere alike. Not every system has the first locale.
        for locale in ["--lc-ctype=C.UTF-8", "--lc-ctype=C"] {
            let _ = fs::remove_dir_all(&fresh);
            let mut initdb = command(&self.bin.join("initdb"), self.user, &self.folder);
            initdb.arg("-D").arg(&fresh).args(["-U", ROLE, "-E", "UTF8", "-A", "trust", "--locale=C", locale, "-N"]);
            let output = initdb.current_dir("/").stdin(Stdio::null()).output();
            let output = output.map_err(|error| format!("PostgreSQL's `initdb` can't be run: {error}"))?;
            if output.status.success() {
                return fs::rename(&fresh, &data).map_err(|error| format!("{}: {error}", data.display()));
            }
            said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        }
        Err(format!("PostgreSQL's `initdb` fails: {said}"))
    }

    /// How to connect to one of its databases.
    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(&self.socket).port(5432);
        options.username(ROLE).password("").database(database).ssl_mode(PgSslMode::Disable)
    }

    /// The command that runs the server under a shell script, which gets it as `"$@"`.
    pub(crate) fn command(&self, script: &str, settings: &[&str]) -> Result<Command, String> {
        let log = self.folder.join("log");
        let out = OpenOptions::new().create(true).append(true).open(&log);
        let out: File = out.map_err(|error| format!("{}: {error}", log.display()))?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        let mut command = command(Path::new("/bin/sh"), self.user, &self.folder);
        command.args(["-c", script, "sh"]).arg(self.bin.join("postgres")).arg("-D").arg(self.folder.join("data"));
        let socket = format!("unix_socket_directories={}", self.socket.display());
        for setting in ["listen_addresses=", &socket, "unix_socket_permissions=0700"].iter().chain(settings) {
            command.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C is ours, and handlers finish first.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.current_dir("/").stdout(out).stderr(err);
        Ok(command)
    }

    /// The process that the pid file names, if it is a server on this data.
    pub(crate) fn running(&self) -> Option<u32> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let pid: u32 = text.lines().next()?.trim().parse().ok()?;
        let alive = match fs::read_link(format!("/proc/{pid}/cwd")) {
            Ok(folder) => folder == self.folder.join("data"),
            // Another user's, or a system without /proc: as PostgreSQL itself asks.
            Err(_) => programs::lives(pid),
        };
        alive.then_some(pid)
    }

    /// Waits for a server on this data that is about to end, and clears away what a crash left.
    pub(crate) fn vacate(&self) -> Result<(), String> {
        let since = Instant::now();
        while let Some(pid) = self.running() {
            if since.elapsed() > LEAVING {
                return Err(format!("a PostgreSQL server (process {pid}) still runs on {}", self.folder.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = fs::remove_file(self.folder.join("data/postmaster.pid"));
        Ok(())
    }

    /// The end of its log, for an error.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// A folder for this user alone.
fn private(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A running server that ends with this value.
pub(crate) struct Server {
    place: Place,
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Starts the server whose files are in `folder`, which is made if it isn't there. Blocks.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(crate) fn start(folder: &Path) -> Result<Server, String> {
        let place = Place::prepare(folder)?;
        place.vacate()?;
        let mut command = place.command(WHILE_WATCHED, &["max_connections=100", "shared_buffers=32MB"])?;
        let mut shell =
            command.stdin(Stdio::piped()).spawn().map_err(|error| format!("no shell can be run: {error}"))?;
        Ok(Server { lifeline: shell.stdin.take(), shell, place })
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// If it ends, or takes too long.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            if let Ok(connection) = PgConnection::connect_with(&self.place.options("postgres")).await {
                let _ = connection.close().await;
                return Ok(());
            }
            let ended = self.place.running().is_none() && since.elapsed() > Duration::from_secs(5);
            if ended || self.shell.try_wait().is_ok_and(|ended| ended.is_some()) || since.elapsed() > START {
                return Err(format!("PostgreSQL does not start: {}", self.place.last_words()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How to connect to the database `name`, which is made if it isn't there.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn database(&self, name: &str) -> Result<PgConnectOptions, String> {
        create(&self.place.options("postgres"), name).await.map_err(|error| error.to_string())?;
        Ok(self.place.options(name))
    }
}

/// Makes a database unless it is there.
async fn create(admin: &PgConnectOptions, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(admin).await?;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !there {
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    connection.close().await
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.shell.wait();
    }
}
