//! Embedded mode: the whole application in one process on a laptop, what `updraft::main!` runs without a binding.

use super::chaos::LocalChaos;
use super::log::LiveLog;
use super::options::Options;
use super::secrets::LocalSecrets;
use super::{control, presigned, settings, stand_ins};
use crate::clock::SystemClock;
use crate::ctx::{Ctx, Engines, Faults, Observer, Routed};
use crate::embedded::{Depth, Dispatcher, Embedded, Lane, Topology};
use crate::inflight::InFlight;
use crate::logging;
use crate::problem::problem;
use crate::registry::{self, Dispatch, Handler};
use crate::router::router;
use crate::server::client::Client;
use crate::server::listen;
use crate::telemetry::metrics::Backlog;
use crate::telemetry::start::{self as telemetry, Who};
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What handlers that have begun get at the end.
const GRACE: Duration = Duration::from_secs(10);
/// `--once` ends when there has been nothing to do for so long.
const QUIET: Duration = Duration::from_millis(250);

/// What a collector gets for what is left at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// Runs until a signal ends it or, if asked to, until nothing is left to do.
///
/// # Errors
/// Why it can't run; all reasons that are known.
pub fn run(package: &str) -> Result<(), Vec<String>> {
    let options = Options::from_process().map_err(one)?;
    // What handlers themselves log, and what went wrong; requests and messages are the live log's.
    let filter = logging::asked().map_err(one)?.unwrap_or_else(|| Targets::new().with_default(logging::DEFAULT));
    let log = tracing_subscriber::fmt().compact().without_time().with_target(false).with_max_level(LevelFilter::TRACE);
    let log = log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    // An error says that the program's own `main` has set one up.
    let _ = log.finish().with(filter).try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| one(format!("can't start threads: {error}")))?;
    let outcome = runtime.block_on(serve(package, &options));
    // A handler that blocks its thread doesn't hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

fn one(problem: impl Into<String>) -> Vec<String> {
    vec![problem.into()]
}

/// The running application: what the control socket reaches.
pub(super) struct App {
    pub(super) ctx: Ctx,
    pub(super) engine: Embedded,
    pub(super) dispatcher: Dispatcher,
    pub(super) router: Router,
    pub(super) handlers: BTreeMap<&'static str, &'static Handler>,
    pub(super) url: String,
}

async fn serve(package: &str, options: &Options) -> Result<(), Vec<String>> {
    let settings = settings::read(&options.folder, package).map_err(one)?;
    let secrets = LocalSecrets::new(&options.folder, settings.secrets.clone());
    let checks = [settings::validate(&settings.configs, settings::FILE), secrets.require()];
    let problems: Vec<String> = checks.into_iter().filter_map(Result::err).flatten().collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let handlers = registry::handlers().map_err(one)?;
    let clock = Arc::new(SystemClock);
    let topology = Topology::of(handlers.values().copied()).declared();
    let engine = Embedded::open(&options.state, topology, clock.clone()).map_err(|error| one(error.to_string()))?;
    let listener = listen_at(options).await.map_err(one)?;
    let url =
        listener.local_addr().map(|address| format!("http://{address}")).map_err(|error| one(error.to_string()))?;
    engine.listens_at(&url);

    let log = Arc::new(LiveLog::stdout());
    let in_flight = InFlight::default();
    let mine: Vec<_> = handlers.values().copied().collect();
    let (telemetry, observer) = telemetry::start(
        Who { app: &settings.app, unit: None, handlers: &mine, in_flight: in_flight.clone(), page: true },
        log.clone(),
        &Client::new(),
    );
    telemetry.set_backlog({
        let engine = engine.clone();
        move || backlog(&engine)
    });
    let externals =
        externals(&settings, &observer).await.map_err(|error| one(format!("no port for a stand-in: {error}")))?;
    let databases = databases(options, &settings, &log).await?;
    let shared = Arc::new(engine.clone());
    let engines = Engines {
        messaging: shared.clone(),
        stores: Routed::all(shared.clone()),
        buckets: Routed::all(shared),
        databases: databases.databases.clone(),
        functions: Default::default(),
        secrets: Arc::new(secrets),
        configs: settings.configs,
        externals,
    };
    let chaos = |seed| Arc::new(LocalChaos::new(seed, observer.clone())) as Arc<dyn Faults>;
    let faults = options.chaos.map(chaos);
    let ctx = Ctx::new(&settings.app, engines, crate::ctx::Options { clock, observer, faults, serialise_calls: false });
    let seed = u64::from(std::process::id()) ^ u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    let dispatcher = Dispatcher::new(ctx.clone(), engine.clone(), in_flight.clone(), seed).map_err(one)?;
    crate::shared::build_all(&ctx, &mine).await.map_err(one)?;
    let router = router(&ctx, &mine, &[], &in_flight, settings.http.body).map_err(one)?.merge(telemetry.page());
    let router = router.merge(presigned::router(engine.clone()));
    let app = Arc::new(App {
        ctx: ctx.clone(),
        engine,
        dispatcher: dispatcher.clone(),
        router: router.clone(),
        handlers,
        url,
    });

    let mut due = Vec::new();
    for id in &options.now {
        due.push(control::schedule(&app, id).map_err(one)?);
    }
    for lane in due {
        app.engine.run_now(app.ctx.app(), &lane).await.map_err(|error| one(error.to_string()))?;
    }
    let _socket = control::listen(&options.state, app.clone()).map_err(one)?;
    welcome(&log, &app).await;
    if let Some(seed) = options.chaos {
        log.say(&format!("  chaos  seed {seed}: things go wrong on purpose, each in a line of its own"));
    }

    let working = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.run().await }
    });
    let relaying = ctx.engines().databases.relay(&ctx);
    let quiet = async {
        if !options.once {
            return std::future::pending().await;
        }
        quiet(&ctx, &dispatcher).await;
    };
    let end = async {
        tokio::select! {
            () = signalled() => "Stopping: what has begun is finished first",
            () = abandoned() => "Stopping: what has begun is finished first",
            () = quiet => "Nothing is left to do",
        }
    };
    let router = router.layer(from_fn(only_for_this_laptop));
    listen::serve(listener, router, settings.http, async { log.say(end.await) }, GRACE).await;
    working.abort();
    if tokio::time::timeout(GRACE, in_flight.idle()).await.is_err() {
        log.say("Some handlers did not end in time; their messages will be tried again");
    }
    telemetry.flush(FLUSH).await;
    relaying.iter().for_each(tokio::task::AbortHandle::abort);
    // The server of the databases ends last, and takes a moment: not on a thread that others need.
    let _ = tokio::task::spawn_blocking(move || drop(databases)).await;
    Ok(())
}

/// What waits for each handler. A lane that can't be read now is left out.
fn backlog(engine: &Embedded) -> Vec<Backlog> {
    let now = engine.now();
    let of = |lane: &Lane| {
        let Depth { due, later, held } = engine.depth(&lane.id).ok()?;
        let first = engine.next_due(&lane.id).ok()?.unwrap_or(now);
        let oldest = Duration::try_from(now.duration_since(first)).unwrap_or_default();
        Some(Backlog { handler: lane.handler.id, due, later, held, oldest })
    };
    engine.topology().lanes().filter_map(of).collect()
}

/// Returns once nothing has been left to do for a while.
async fn quiet(ctx: &Ctx, dispatcher: &Dispatcher) {
    let mut since = tokio::time::Instant::now();
    while since.elapsed() < QUIET {
        tokio::time::sleep(QUIET / 10).await;
        if !dispatcher.idle().unwrap_or(false) || ctx.engines().databases.waiting().await > 0 {
            since = tokio::time::Instant::now();
        }
    }
}

/// The databases that the program declares, and what they run on.
#[cfg(feature = "postgres")]
async fn databases(
    options: &Options,
    settings: &settings::Settings,
    log: &LiveLog,
) -> Result<super::postgres::Local, Vec<String>> {
    let local = super::postgres::start(&options.state, &options.folder, &settings.databases).await?;
    for (id, reason) in local.databases.absent() {
        log.say(&format!("No database `{id}`; what takes it answers 503. {reason}"));
    }
    Ok(local)
}

/// Without the feature no program declares one.
#[cfg(not(feature = "postgres"))]
#[derive(Default)]
struct NoDatabases {
    databases: crate::database::Databases,
}

#[cfg(not(feature = "postgres"))]
async fn databases(_: &Options, _: &settings::Settings, _: &LiveLog) -> Result<NoDatabases, Vec<String>> {
    Ok(NoDatabases::default())
}

async fn signalled() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Returns when whoever started this process is gone: `dev` holds the other end of standard input, even if it is killed.
async fn abandoned() {
    if std::env::var("UPDRAFT_PARENT").is_ok_and(|parent| parent == "stdin") {
        // A thread of its own, since a read of standard input can't be called off.
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
        let _ = end.await;
    } else {
        std::future::pending::<()>().await;
    }
}

async fn listen_at(options: &Options) -> Result<TcpListener, String> {
    TcpListener::bind(options.address).await.map_err(|error| {
        let port = options.address.port();
        if error.kind() == std::io::ErrorKind::AddrInUse {
            format!("port {port} is taken by another program\nhelp: choose another with `--port <number>`, or `--port 0` for any that is free")
        } else {
            format!("can't listen at {}: {error}\nhelp: choose another port with `--port <number>`", options.address)
        }
    })
}

/// Where externals are: `UPDRAFT_EXTERNAL_<ID>`, the settings, a stand-in, or the declaration's own host.
async fn externals(
    settings: &settings::Settings,
    observer: &Arc<dyn Observer>,
) -> std::io::Result<BTreeMap<String, String>> {
    let mut externals = stand_ins::start(&settings.stand_ins, observer).await?;
    externals.extend(settings.externals.clone());
    for resource in registry::RESOURCES.iter().filter(|resource| resource.kind == "external") {
        let variable = updraft_wire::ids::secret_variable(resource.id).replace("_SECRET_", "_EXTERNAL_");
        externals.extend(std::env::var(variable).ok().map(|url| (resource.id.to_owned(), url)));
    }
    Ok(externals)
}

/// A page on the web can make a browser ask any name that resolves to loopback: only names of this machine are answered.
async fn only_for_this_laptop(request: Request, next: Next) -> Response {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(header).unwrap_or_default();
    if is_local(host) {
        return next.run(request).await;
    }
    problem(StatusCode::MISDIRECTED_REQUEST, "This server answers this machine only: ask it as localhost", None)
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name == "127.0.0.1" || name == "::1"
}

async fn welcome(log: &LiveLog, app: &App) {
    log.say(&format!("Listening {}", app.url));
    for handler in app.handlers.values() {
        if let Dispatch::Http { method, route, .. } = &handler.dispatch {
            log.say(&format!("  {method:<6} {route}"));
        }
        if let Dispatch::Routes { prefix, .. } = &handler.dispatch {
            log.say(&format!("  ANY    {prefix} and below"));
        }
    }
    for (handler, at) in app.dispatcher.upcoming().await {
        let at = at.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %H:%M").to_string();
        log.say(&format!("  next   {at}  {handler}"));
    }
    for (lane, count) in app.engine.orphans().unwrap_or_default() {
        log.say(&format!("  {count} messages wait in {lane}, which no handler of this program works: was it renamed?"));
    }
    let dead = app.engine.dead_letter_count().unwrap_or_default();
    if dead > 0 {
        log.say(&format!("  {dead} dead letters: `cargo updraft dead-letters list`"));
    }
}

/// Where the control socket lies.
pub(super) fn socket_path(state: &Path) -> std::path::PathBuf {
    state.join("control.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "shop.localhost:3000"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "10.0.0.1"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
