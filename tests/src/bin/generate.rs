//! Writes a program of many handlers, to measure the compiler with: `generate FOLDER HANDLERS [functions]`.
//!
//! Every ten handlers share a module and look as people write them: four routes, two consumers, two subscribers, a
//! function that a route calls, a schedule; with queues, topics, stores and buckets of their own. With `functions` all
//! after the first hundred are functions that call each other: an API of AWS's has 300 routes, and its stack 500 resources.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, handlers, functions @ ..] = arguments.as_slice() else {
        panic!("generate FOLDER HANDLERS [functions]")
    };
    let handlers: usize = handlers.parse().expect("a number of handlers");
    write(Path::new(folder), handlers, !functions.is_empty()).expect("written");
}

/// Modules with handlers of all kinds where the others have functions.
const OF_ALL_KINDS: usize = 10;

fn write(folder: &Path, handlers: usize, functions: bool) -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let modules = handlers.div_ceil(10);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[package]\nname = \"many\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nupdraft = {{ path = {:?} }}\n\n\
             [workspace]\n",
            root.join("runtime")
        ),
    )?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::write(folder.join("Updraft.toml"), SETTINGS)?;
    fs::write(folder.join("src/main.rs"), "//! Many handlers.\nupdraft::main!(many);\n")?;
    let mut library = String::from("//! Many handlers.\n");
    for module in 0..modules {
        let _ = writeln!(library, "pub mod m{module};");
        let text =
            if functions && module >= OF_ALL_KINDS { called() } else { MODULE.replace("NN", &module.to_string()) };
        fs::write(folder.join(format!("src/m{module}.rs")), text)?;
    }
    fs::write(folder.join("src/lib.rs"), library)
}

/// Ten functions, each of which calls the one before.
fn called() -> String {
    let mut text = String::from("//! Ten functions.\n\nuse updraft::prelude::*;\n");
    text.push_str("\n/// Adds one.\n#[function]\nasync fn step0(count: u32) -> Result<u32> {\n    Ok(count + 1)\n}\n");
    for at in 1..10 {
        let before = at - 1;
        let _ = write!(
            text,
            "\n/// Adds one to what the one before makes of it.\n#[function]\nasync fn step{at}(count: u32, before: Function<step{before}>) -> \
             Result<u32> {{\n    Ok(before.call(count).await? + 1)\n}}\n"
        );
    }
    text
}

const SETTINGS: &str = r#"[bindings]
store = { engine = "redis", url_secret = "redis-url" }
bucket = { engine = "s3", endpoint = "https://s3.example.com", bucket = "many", region = "eu-central-1", credentials_secret = "s3" }

[target.knative]
image = "registry.example.com/many"
dead_letters = { engine = "redis", url_secret = "redis-url" }

[env.aws]
placement = { default = "module" }
"#;

const MODULE: &str = r#"//! Ten handlers.

use updraft::prelude::*;

/// A piece of work.
#[updraft::data]
pub struct Job {
    pub id: String,
    pub pieces: u32,
}

/// Work to do.
#[queue(message = Job)]
pub struct WorkNN;

/// Work to check.
#[queue(message = Job)]
pub struct ChecksNN;

/// Work that is done.
#[topic(message = Job)]
pub struct DoneNN;

/// How much was done.
#[store(key = String, value = u32)]
pub struct CountsNN;

/// What was done.
#[bucket(external = "read")]
pub struct PapersNN;

/// Takes work.
#[http(post, "/mNN/jobs")]
async fn accept(work: Queue<WorkNN>, Json(job): Json<Job>) -> Result<StatusCode> {
    work.send(&job).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Tells how much was done.
#[http(get, "/mNN/jobs/{id}")]
async fn count(Path(id): Path<String>, counts: Store<CountsNN, ReadOnly>) -> Result<Json<u32>> {
    Ok(Json(counts.get(&id).await?.unwrap_or(0)))
}

/// Forgets.
#[http(delete, "/mNN/jobs/{id}")]
async fn forget(Path(id): Path<String>, counts: Store<CountsNN, WriteOnly>) -> Result<StatusCode> {
    counts.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says what it would cost.
#[http(get, "/mNN/prices/{pieces}")]
async fn ask(Path(pieces): Path<u32>, price: Function<price>) -> Result<Json<u32>> {
    Ok(Json(price.call(pieces).await?))
}

/// What pieces cost.
#[function]
async fn price(pieces: u32) -> Result<u32> {
    Ok(pieces * 3)
}

/// Does the work.
#[consumer(WorkNN, retries = 3, timeout = "20s")]
async fn work(job: Job, counts: Store<CountsNN>, checks: Queue<ChecksNN>) -> Result<()> {
    counts.put(&job.id, &job.pieces).await?;
    checks.send(&job).await?;
    Ok(())
}

/// Checks the work.
#[consumer(ChecksNN)]
async fn check(job: Job, done: Topic<DoneNN>) -> Result<()> {
    done.publish(&job).await?;
    Ok(())
}

/// Writes it down.
#[subscriber(DoneNN)]
async fn record(job: Job, papers: Bucket<PapersNN, WriteOnly>) -> Result<()> {
    papers.put(&job.id, job.pieces.to_string()).await?;
    Ok(())
}

/// Counts it.
#[subscriber(DoneNN)]
async fn tally(job: Job, counts: Store<CountsNN>) -> Result<()> {
    counts.update(&job.id, |count| count.unwrap_or(0) + 1).await?;
    Ok(())
}

/// Sums up.
#[schedule("0 3 * * *", timezone = "Europe/Berlin")]
async fn sum(counts: Store<CountsNN, ReadOnly>, papers: Bucket<PapersNN, WriteOnly>) -> Result<()> {
    let count = counts.get("all").await?.unwrap_or(0);
    papers.put("sum", count.to_string()).await?;
    Ok(())
}
"#;
