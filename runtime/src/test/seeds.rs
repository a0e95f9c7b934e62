//! Many seeds: an invariant is tried under chaos until one of them breaks it.

use super::trace::{Log, Trace};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Tries this seed alone, and shows what happens.
const SEED_VARIABLE: &str = "UPDRAFT_SEED";
/// Tries so many seeds instead of those that the test names.
const SEEDS_VARIABLE: &str = "UPDRAFT_SEEDS";
/// How long a failure is looked at for faults that it does not need.
const LONGEST_REDUCTION: Duration = Duration::from_secs(10);

/// What the body of a test gives: `()`, or a result whose error fails it.
pub trait Outcome {
    #[doc(hidden)]
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Debug> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| format!("the body returned {error:?}"))
    }
}

/// Holds that `body` holds for each of so many seeds, and panics with the first that breaks it. For a plain `#[test]`:
/// each run gets a thread and a runtime of its own.
///
/// `UPDRAFT_SEED=17` tries that seed alone and lets it print; `UPDRAFT_SEEDS=5000` tries so many.
///
/// # Panics
/// If a seed breaks it: with the seed, what the body said, the faults that are needed, and how to run it again.
#[track_caller]
pub fn for_seeds<B, F>(seeds: u64, body: B)
where
    B: Fn(u64) -> F + Sync,
    F: Future<Output: Outcome>,
{
    let number = |name: &str| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}: `{text}` is no number")))
    };
    if let Some(seed) = number(SEED_VARIABLE) {
        match run(seed, &BTreeSet::new(), true, &body) {
            Ok(trace) => show(&format!("seed {seed} holds:\n{trace}")),
            Err(broken) => panic!("{broken}\neach step:\n{}", broken.trace),
        }
        return;
    }
    if let Err(broken) = try_seeds(0..number(SEEDS_VARIABLE).unwrap_or(seeds), body) {
        panic!("{broken}");
    }
}

/// The harness captures what is printed, and shows it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "a test's own output")]
fn show(text: &str) {
    println!("{text}");
}

/// [`for_seeds`], for who wants to look at the failure: the first seed that breaks `body`.
///
/// # Errors
/// A seed that breaks it.
pub fn try_seeds<B, F>(seeds: Range<u64>, body: B) -> Result<(), Box<Broken>>
where
    B: Fn(u64) -> F + Sync,
    F: Future<Output: Outcome>,
{
    for seed in seeds {
        if let Err(mut broken) = run(seed, &BTreeSet::new(), false, &body) {
            reduce(&mut broken, &body);
            return Err(broken);
        }
    }
    Ok(())
}

/// One run of one seed, from the start: the same seed gives the same trace.
///
/// # Errors
/// How the seed breaks `body`.
pub fn replay<B, F>(seed: u64, body: B) -> Result<Trace, Box<Broken>>
where
    B: Fn(u64) -> F + Sync,
    F: Future<Output: Outcome>,
{
    run(seed, &BTreeSet::new(), false, &body)
}

/// A seed that breaks an invariant.
#[derive(Debug)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// What the body said: a panic with its place, or its error.
    pub reason: String,
    /// Everything that happened.
    pub trace: Trace,
    /// The faults without which it would not have happened, as far as leaving out one after another shows.
    pub needed: Trace,
    test: Option<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { seed, reason, trace, needed, test } = self;
        let all = trace.faults().len();
        writeln!(f, "seed {seed} breaks it: {reason}")?;
        match needed.len() {
            0 => writeln!(f, "no fault is needed for that (of {all}): the order of events is enough")?,
            _ => write!(f, "{} of {all} faults are needed for that:\n{needed}", needed.len())?,
        }
        let package = std::env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name}")).unwrap_or_default();
        let test = test.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        write!(f, "to run it again and see each step: {SEED_VARIABLE}={seed} cargo test{package}{test}")
    }
}

impl std::error::Error for Broken {}

/// What the run of one seed on this thread leaves out and leaves behind.
struct Run {
    spared: BTreeSet<u64>,
    logs: Vec<Log>,
    /// The last panic's words and place.
    panic: Option<String>,
    /// Panics are kept and not printed.
    quiet: bool,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// The log of a simulation that starts on this thread, and the faults that it leaves out.
pub(super) fn enlist() -> (Log, BTreeSet<u64>) {
    let log = Log::default();
    let spared = RUN.with_borrow_mut(|run| {
        let run = run.as_mut()?;
        run.logs.push(log.clone());
        Some(run.spared.clone())
    });
    (log, spared.unwrap_or_default())
}

/// Whether this thread tries one of many seeds, of which nobody wants to read.
pub(super) fn quiet() -> bool {
    RUN.with_borrow(|run| run.as_ref().is_some_and(|run| run.quiet))
}

fn run<B, F>(seed: u64, spared: &BTreeSet<u64>, shown: bool, body: &B) -> Result<Trace, Box<Broken>>
where
    B: Fn(u64) -> F + Sync,
    F: Future<Output: Outcome>,
{
    keep_panics();
    let test = std::thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    let life = || {
        RUN.set(Some(Run { spared: spared.clone(), logs: Vec::new(), panic: None, quiet: !shown }));
        let _unlogged =
            (!shown).then(|| tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(body(seed)).failure()));
        let run = RUN.take();
        let (logs, said) = run.map(|run| (run.logs, run.panic)).unwrap_or_default();
        let failure = match outcome {
            Ok(failure) => failure,
            Err(panic) => Some(said.unwrap_or_else(|| crate::dispatch::panic_message(&*panic))),
        };
        (failure, logs.iter().map(Log::read).collect::<Trace>())
    };
    let named = std::thread::Builder::new().name(test.clone().unwrap_or_else(|| "seed".to_owned()));
    let (failure, trace) = std::thread::scope(|scope| {
        let running = named.spawn_scoped(scope, life).unwrap_or_else(|error| panic!("no thread: {error}"));
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    match failure {
        None => Ok(trace),
        Some(reason) => Err(Box::new(Broken { seed, reason, needed: trace.faults(), trace, test })),
    }
}

/// Leaves out one fault after another, as long as it still fails at the same place.
fn reduce<B, F>(broken: &mut Broken, body: &B)
where
    B: Fn(u64) -> F + Sync,
    F: Future<Output: Outcome>,
{
    let place = |reason: &str| reason.lines().next().map(str::to_owned);
    let (begun, mut spared) = (Instant::now(), BTreeSet::new());
    let again = |spared: &BTreeSet<u64>| match run(broken.seed, spared, false, body) {
        Err(other) if place(&other.reason) == place(&broken.reason) => Some(other.trace.faults()),
        Err(_) | Ok(_) => None,
    };
    let mut needed = broken.trace.faults();
    // Often none is needed, or few: first all, then one by one, from the last.
    let all: BTreeSet<u64> = needed.fault_ids().into_iter().collect();
    if let Some(fewer) = again(&all) {
        (spared, needed) = (all, fewer);
    }
    let mut tried = BTreeSet::new();
    while let Some(fault) = needed.fault_ids().into_iter().rev().find(|fault| !tried.contains(fault)) {
        if begun.elapsed() > LONGEST_REDUCTION {
            break;
        }
        tried.insert(fault);
        spared.insert(fault);
        match again(&spared) {
            Some(fewer) => needed = fewer,
            None => drop(spared.remove(&fault)),
        }
    }
    broken.needed = needed;
}

/// Keeps what is said by panics of runs, which may be many: the last one is the failure's.
fn keep_panics() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let otherwise = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let quiet = RUN.try_with(|run| {
                let Ok(mut run) = run.try_borrow_mut() else { return false };
                let Some(run) = run.as_mut() else { return false };
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                let words = crate::dispatch::panic_message(panic.payload());
                run.panic = Some(format!("panicked at {place}:\n{words}"));
                run.quiet
            });
            if !quiet.unwrap_or(false) {
                otherwise(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_seed_that_breaks_it_is_told() {
        let broken = try_seeds(0..10, |seed| async move { assert!(seed < 3, "{seed} is too many") });
        let broken = broken.expect_err("three");
        assert_eq!(broken.seed, 3);
        assert!(broken.reason.starts_with("panicked at runtime/src/test/seeds.rs"), "{}", broken.reason);
        let said = broken.to_string();
        assert!(said.contains("3 is too many") && said.contains("UPDRAFT_SEED=3 cargo test -p updraft"), "{said}");

        let broken = try_seeds(0..10, |seed| async move { if seed == 5 { Err("no") } else { Ok(()) } });
        assert_eq!(broken.expect_err("five").seed, 5);
        assert!(try_seeds(0..3, |_| async {}).is_ok());
    }
}
