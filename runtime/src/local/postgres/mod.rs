//! PostgreSQL on a laptop: a server of our own, started because the application has a database, or one that exists already.

pub mod programs;
pub(crate) mod server;

use crate::capability::Migrations;
use crate::database::{Databases, declared};
use crate::engines::postgres::{Postgres, options};
use server::Server;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The databases of this program, and the server that ends with this value.
#[derive(Default)]
pub(super) struct Local {
    pub(super) databases: Databases,
    _server: Option<Server>,
}

/// Names the URL of a database on this machine, `UPDRAFT_DATABASE_LEDGER`.
fn variable(id: &str) -> String {
    updraft_wire::ids::secret_variable(id).replace("_SECRET_", "_DATABASE_")
}

/// Starts what the program's databases need, and migrates them. One that can't be had is absent, with the reason; everything
/// else still runs.
///
/// # Errors
/// What the user has to mend: a migration that fails, a URL that is none.
pub(super) async fn start(state: &Path, folder: &Path, urls: &BTreeMap<String, String>) -> Result<Local, Vec<String>> {
    let mut local = Local::default();
    let mut problems = Vec::new();
    let all = declared();
    problems.extend(all.values().filter_map(|migrations| stale(folder, migrations)));
    let named = |id: &str| std::env::var(variable(id)).ok().or_else(|| urls.get(id).cloned());
    let mut server = None;
    for (id, migrations) in all {
        let found = match named(id) {
            Some(url) => options(&url).map_err(|error| {
                problems.push(format!(
                    "database `{id}`: {error}\nhelp: `[dev.databases]` of Updraft.toml or {} names it",
                    variable(id)
                ));
                String::new()
            }),
            None => {
                if server.is_none() {
                    server = Some(started(state).await);
                }
                match &server {
                    Some(Ok(server)) => server.database(id).await,
                    Some(Err(reason)) => Err(reason.clone()),
                    None => Err(String::new()),
                }
            }
        };
        match found {
            Ok(options) => {
                let database = Arc::new(Postgres::new(id, &options, migrations, None));
                match database.prepare().await {
                    Ok(()) => local.databases.add(database),
                    Err(error) if named(id).is_some() => local.databases.without(id, error.to_string()),
                    Err(error) => problems.push(format!(
                        "database `{id}`: {error}\nhelp: to start over with an empty database on this machine, delete {}",
                        state.join(FOLDER).display()
                    )),
                }
            }
            Err(reason) => local.databases.without(id, reason),
        }
    }
    local._server = server.and_then(Result::ok);
    if problems.is_empty() { Ok(local) } else { Err(problems) }
}

/// Where the server's files lie within the state's folder.
const FOLDER: &str = "postgres";

async fn started(state: &Path) -> Result<Server, String> {
    let folder = state.join(FOLDER);
    let starting = tokio::task::spawn_blocking(move || Server::start(&folder)).await;
    let mut server = starting.map_err(|error| error.to_string())??;
    server.ready().await?;
    Ok(server)
}

/// What is wrong if the migrations of this program's package are not those that lie in its folder: cargo does not see a new
/// file in a folder.
pub(crate) fn stale(folder: &Path, migrations: &Migrations) -> Option<String> {
    let package = std::env::var("CARGO_PKG_NAME").ok()?;
    let entries = std::fs::read_dir(folder.join(migrations.folder)).ok()?;
    if package != migrations.package {
        return None;
    }
    let there: BTreeSet<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    let built: BTreeSet<String> = migrations.files.iter().map(|file| file.name.to_owned()).collect();
    let differing: Vec<&str> = there.symmetric_difference(&built).map(String::as_str).collect();
    (!differing.is_empty()).then(|| {
        format!(
            "the program was compiled before `{}` came or went in {}\nhelp: `cargo updraft` sees that by itself; for plain \
             `cargo`, a `build.rs` with `println!(\"cargo::rerun-if-changed={}\");` does, or touch a source file now",
            differing.join("`, `"),
            migrations.folder,
            migrations.folder
        )
    })
}
