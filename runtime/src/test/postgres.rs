//! Databases for tests: a server that the processes of a test run share, one template for each set of migrations, and a copy
//! of it for each application under test.
//!
//! The server lies in the target directory and outlives a test process by twenty seconds, so that the next finds it running;
//! it gives up durability for speed. A copy is dropped with the last thing that uses it; what a killed process leaves, the
//! next one sweeps up.

use crate::capability::Migrations;
use crate::engines::postgres::Postgres;
use crate::local::postgres::programs;
use crate::local::postgres::server::Place;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a start may take, on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Old templates that are kept: those of other programs of the workspace, of other branches.
const TEMPLATES_KEPT: i64 = 20;
/// What a copy's name starts with; the id of its process follows.
const COPY: &str = "updraft_copy_";
/// What a template's name starts with; a hash follows.
const TEMPLATE: &str = "updraft_template_";

/// Runs a server until no process that has left its id in the folder `leases` has lived for twenty seconds. A process leaves
/// its id first and looks for `ready` then; here `ready` goes first: one of the two sees the other.
const WHILE_LEASED: &str = r#"cd "$FOLDER" || exit 1
"$@" & server=$!
leased() {
    for lease in leases/*; do
        process=${lease##*/}
        if [ -d "/proc/$process" ] || ps -p "$process" >/dev/null 2>&1; then return 0; fi
        rm -f "$lease"
    done
    return 1
}
idle=0
while kill -0 $server 2>/dev/null; do
    sleep 1
    if leased; then idle=0; continue; fi
    idle=$((idle + 1))
    [ $idle -lt 20 ] && continue
    mv -f ready leaving
    if leased; then mv -f leaving ready; idle=0; continue; fi
    kill -INT $server
    wait $server
done
rm -f ready leaving"#;

/// Durability is for data that somebody wants to keep.
const SETTINGS: [&str; 8] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_connections=400",
    "shared_buffers=64MB",
];

/// An empty database with these migrations, for as long as the value lives; an error where there can't be one.
pub(super) async fn database(id: &str, migrations: &'static Migrations) -> Result<Arc<Postgres>, String> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    if let Some(problem) = crate::local::postgres::stale(&package, migrations) {
        panic!("{problem}");
    }
    let place = shared()?;
    let copy = copy(place, migrations).await?;
    let options = place.options(&copy.0);
    Ok(Arc::new(Postgres::new(id, &options, migrations, None).holding(copy)))
}

/// Says in plain sight that a test is skipped.
///
/// # Panics
/// If `UPDRAFT_E2E=required`.
pub(crate) fn skipped(reason: &str) {
    use std::io::Write;
    let required = std::env::var("UPDRAFT_E2E").is_ok_and(|value| value == "required");
    assert!(!required, "{reason}, and UPDRAFT_E2E=required");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}

/// The server, started or found running; once in a process.
fn shared() -> Result<&'static Place, String> {
    static SHARED: OnceLock<Result<Place, String>> = OnceLock::new();
    // On a thread of its own: a test's own runtime can't be blocked on.
    let start = || {
        let thread = std::thread::spawn(start);
        thread.join().unwrap_or_else(|_| Err("the start of PostgreSQL panicked".to_owned()))
    };
    SHARED.get_or_init(start).as_ref().map_err(Clone::clone)
}

fn start() -> Result<Place, String> {
    let folder = folder();
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    // Of several processes one starts it.
    let lock = File::create(folder.join("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let place = Place::prepare(&folder.join("server"))?;
    let leases = place.folder.join("leases");
    fs::create_dir_all(&leases).map_err(failed)?;
    place.own(&leases).map_err(failed)?;
    fs::write(leases.join(std::process::id().to_string()), "").map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let admin = place.options("postgres");
    let answers = || runtime.block_on(PgConnection::connect_with(&admin)).ok();
    let ready = place.folder.join("ready");
    let found = ready.exists().then(answers).flatten();
    let mut connection = match found {
        Some(connection) => connection,
        None => {
            place.vacate()?;
            let mut command = place.command(WHILE_LEASED, &SETTINGS)?;
            let mut shell = command.env("FOLDER", &place.folder).stdin(Stdio::null()).spawn().map_err(failed)?;
            let since = Instant::now();
            let connection = loop {
                if let Some(connection) = answers() {
                    break connection;
                }
                if since.elapsed() > START || shell.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return Err(format!("PostgreSQL does not start: {}", place.last_words()));
                }
                std::thread::sleep(Duration::from_millis(10));
            };
            fs::write(&ready, "").map_err(failed)?;
            connection
        }
    };
    let swept = runtime.block_on(sweep(&mut connection));
    let _ = runtime.block_on(connection.close());
    swept.map_err(|error| error.to_string())?;
    Ok(place)
}

/// Below the target directory, which cargo marks; else in the system's folder for such things.
fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").exists()).last();
    target.map_or_else(
        || std::env::temp_dir().join("updraft-test-postgres"),
        |target| target.join("updraft/test-postgres"),
    )
}

/// Drops the copies of processes that are gone, and the oldest templates.
async fn sweep(admin: &mut PgConnection) -> Result<(), sqlx::Error> {
    let copies: Vec<String> = sqlx::query_scalar("SELECT datname FROM pg_database WHERE starts_with(datname, $1)")
        .bind(COPY)
        .fetch_all(&mut *admin)
        .await?;
    for name in copies {
        let process = name[COPY.len()..].split('_').next().and_then(|process| process.parse().ok());
        // One with this process's own id is of a process before it.
        if process.is_none_or(|process: u32| process == std::process::id() || !lives(process)) {
            drop_database(admin, &name).await?;
        }
    }
    let old: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY oid DESC OFFSET $2",
    )
    .bind(TEMPLATE)
    .bind(TEMPLATES_KEPT)
    .fetch_all(&mut *admin)
    .await?;
    for name in old {
        drop_database(admin, &name).await?;
    }
    Ok(())
}

fn lives(process: u32) -> bool {
    let known = Path::new("/proc/self").exists();
    if known { Path::new(&format!("/proc/{process}")).exists() } else { programs::lives(process) }
}

async fn drop_database(admin: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let statement = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await.map(drop)
}

/// A copy's name. Dropped, it drops the copy.
struct Copy(String);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = janitor().send(std::mem::take(&mut self.0));
    }
}

/// Drops copies that are done with, off the tests' threads. What it doesn't get to before the process ends is swept up by the
/// next.
fn janitor() -> &'static Sender<String> {
    static JANITOR: OnceLock<Sender<String>> = OnceLock::new();
    JANITOR.get_or_init(|| {
        let (sender, done_with) = channel::<String>();
        std::thread::spawn(move || {
            let (Ok(place), Ok(runtime)) =
                (shared(), tokio::runtime::Builder::new_current_thread().enable_all().build())
            else {
                return;
            };
            let Ok(mut admin) = runtime.block_on(PgConnection::connect_with(&place.options("postgres"))) else {
                return;
            };
            for name in done_with {
                let _ = runtime.block_on(drop_database(&mut admin, &name));
            }
        });
        sender
    })
}

async fn copy(place: &Place, migrations: &'static Migrations) -> Result<Copy, String> {
    let failed = |error: sqlx::Error| error.to_string();
    let mut admin = PgConnection::connect_with(&place.options("postgres")).await.map_err(failed)?;
    let hash = hash(migrations);
    let template = format!("{TEMPLATE}{hash}");
    make_template(place, &mut admin, &template, migrations).await?;
    let name = format!("{COPY}{}_{}", std::process::id(), uuid::Uuid::now_v7().simple());
    // Copying files takes half as long as logging their blocks, which is what newer servers do unless told; older ones only
    // copy files.
    let strategy = match admin.server_version_num() {
        Some(150_000..) => " STRATEGY file_copy",
        _ => "",
    };
    let statement = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"{strategy}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await.map_err(failed)?;
    let _ = admin.close().await;
    Ok(Copy(name))
}

/// Makes the template unless it is there. It gets its name when it is whole.
async fn make_template(
    place: &Place,
    admin: &mut PgConnection,
    template: &str,
    migrations: &'static Migrations,
) -> Result<(), String> {
    let failed = |error: sqlx::Error| error.to_string();
    if is_there(admin, template).await.map_err(failed)? {
        return Ok(());
    }
    let key = i64::from_le_bytes(*blake3::hash(template.as_bytes()).as_bytes().first_chunk().unwrap_or(&[0; 8]));
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(&mut *admin).await.map_err(failed)?;
    let made = async {
        if is_there(admin, template).await.map_err(failed)? {
            return Ok(());
        }
        let draft = format!("{template}_draft");
        drop_database(admin, &draft).await.map_err(failed)?;
        let create = format!("CREATE DATABASE \"{draft}\"");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *admin).await.map_err(failed)?;
        let options: PgConnectOptions = place.options(&draft);
        let database = Postgres::new("template", &options, migrations, Some(1));
        database.prepare().await.map_err(|error| error.to_string())?;
        database.close().await;
        let rename = format!("ALTER DATABASE \"{draft}\" RENAME TO \"{template}\"");
        sqlx::raw_sql(AssertSqlSafe(rename)).execute(&mut *admin).await.map(drop).map_err(failed)
    };
    let made = made.await;
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(key).execute(&mut *admin).await.map_err(failed)?;
    made
}

async fn is_there(admin: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(name).fetch_one(admin).await
}

/// Of all that the template's contents follow from.
fn hash(migrations: &Migrations) -> String {
    let files = migrations.files.iter().map(|file| (file.name, file.sql.as_bytes()));
    let tables = crate::engines::postgres::outbox::TABLES.concat();
    let own = [("updraft", env!("CARGO_PKG_VERSION").as_bytes()), ("outbox", tables.as_bytes())];
    updraft_wire::migrations::fingerprint(files.chain(own)).replace('-', "_")
}
