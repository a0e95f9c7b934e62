//! Server mode: one unit of the application, as a cluster runs it. HTTP on `$PORT`, events from the broker, engines from the
//! binding.
//!
//! | variable | says | unless set |
//! |---|---|---|
//! | `PORT` | where to listen | 8080 |
//! | `UPDRAFT_BINDING` | the binding's file | `/etc/updraft/binding.json` |
//! | `UPDRAFT_UNIT` | which of the binding's units this is | an error |
//! | `UPDRAFT_FACE` | `public` (routes) or `internal` (events, dead letters) | `public` |
//! | `UPDRAFT_SECRETS_DIR` | where secrets are mounted, `<id>/value` | `/var/run/updraft/secrets` |
//! | `UPDRAFT_SECRET_<ID>` | a secret that is not mounted | |
//! | `UPDRAFT_LOG` | what is logged, as JSON: `info`, `updraft=debug` | `info` |
//! | `UPDRAFT_TICK` | send this schedule's tick and end | |
//! | `UPDRAFT_DEAD_LETTERS` | list, show, redrive or drop dead letters (JSON) and end | |
//! | `OTEL_*` | traces and metrics for a collector ([`crate::telemetry`]) | off |
//! | `SSL_CERT_FILE` | CA certificates in place of the built-in ones | |

#![cfg_attr(
    all(updraft_slim, feature = "lambda"),
    allow(dead_code, reason = "what is deployed to AWS Lambda is no server")
)]

mod admin;
pub mod binding;
pub(crate) mod bodies;
mod broker;
pub(crate) mod client;
pub mod cloudevent;
mod deadletters;
pub(crate) mod engines;
mod events;
mod farewell;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod once;
mod patience;
mod protocols;
mod ready;
mod secrets;
mod tick;

use crate::clock::SystemClock;
use crate::ctx::{Ctx, Options};
use crate::inflight::InFlight;
use crate::problem::{problem, unavailable};
use crate::registry::{self, Dispatch, Handler};
use crate::router::router;
use crate::shared;
use crate::telemetry::start::{self as telemetry, Telemetry, Who};
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use binding::Face;
use client::Client;
#[cfg(feature = "lambda")]
pub(crate) use events::resource;
use http::StatusCode;
use listen::Served;
use ready::Ready;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use updraft_wire::aws::RUNTIME_API_VARIABLE;
use updraft_wire::binding::Binding;
use updraft_wire::ids::{LIVE_PATH, METRICS_PATH, READY_PATH};
use updraft_wire::limits::HttpLimits;

/// The port unless `PORT` says otherwise.
const PORT: u16 = 8080;
/// Beyond the longest handler's time, what the end may take.
const GRACE: Duration = Duration::from_secs(5);

/// Runs as the binding at `path` says, until a signal ends it.
///
/// # Errors
/// Why it can't run; all reasons that are known.
pub async fn run(path: &Path) -> Result<(), Vec<String>> {
    if std::env::var_os(RUNTIME_API_VARIABLE).is_some() {
        return lambda(path).await;
    }
    here(path).await
}

/// As a server.
#[cfg(not(all(updraft_slim, feature = "lambda")))]
async fn here(path: &Path) -> Result<(), Vec<String>> {
    let one = |problem: String| vec![problem];
    let binding = binding::load(path).map_err(one)?;
    if let Ok(command) = std::env::var(binding::DEAD_LETTERS_VARIABLE) {
        // It has the process to itself, and need not go from thread to thread as `serve` may.
        let handle = tokio::runtime::Handle::current();
        return tokio::task::block_in_place(|| handle.block_on(admin::run(&binding, &command))).map_err(one);
    }
    if let Ok(handler) = std::env::var(binding::TICK_VARIABLE) {
        return tick::send(&binding, &handler).await.map_err(one);
    }
    serve(binding).await
}

/// As a server, which what is deployed to AWS Lambda leaves out: nobody would ever start one there.
#[cfg(all(updraft_slim, feature = "lambda"))]
async fn here(_: &Path) -> Result<(), Vec<String>> {
    let problem =
        format!("this program was built for AWS Lambda, which sets {RUNTIME_API_VARIABLE}, and serves nothing else");
    Err(vec![problem])
}

/// As a function of AWS Lambda.
#[cfg(feature = "lambda")]
async fn lambda(path: &Path) -> Result<(), Vec<String>> {
    crate::lambda::run(path).await
}

/// As a function of AWS Lambda, which takes what this program was built without.
#[cfg(not(feature = "lambda"))]
async fn lambda(_: &Path) -> Result<(), Vec<String>> {
    let problem = format!(
        "{RUNTIME_API_VARIABLE} is set, so this is AWS Lambda, but this program was built without what it takes there: build it \
         with `--features updraft/lambda`"
    );
    Err(vec![problem])
}

#[cfg(all(test, not(feature = "lambda")))]
#[tokio::test]
async fn without_its_feature_lambda_is_refused() {
    let problems = lambda(Path::new("binding.json")).await.expect_err("a refusal");
    assert!(problems[0].contains("AWS_LAMBDA_RUNTIME_API") && problems[0].contains("updraft/lambda"), "{problems:?}");
}

/// What publishes to a broker's ingress, as this mode does: for the conformance suite.
///
/// # Errors
/// If that is no address.
#[cfg(any(test, feature = "conformance"))]
#[doc(hidden)]
pub fn publisher(app: &str, ingress: &str) -> Result<Arc<dyn crate::engine::Messaging>, String> {
    Ok(Arc::new(broker::Broker::new(Client::new(), app, client::url(ingress)?)))
}

async fn serve(binding: Binding) -> Result<(), Vec<String>> {
    let one = |problem: String| vec![problem];
    let (name, unit) = binding::unit(&binding).map_err(one)?;
    let face = binding::face().map_err(one)?;
    let all = registry::handlers().map_err(one)?;
    let (mine, others): (Vec<&'static Handler>, Vec<_>) =
        all.into_values().partition(|handler| unit.handlers.contains(handler.id));

    let runs = runs(&mine, face);
    let client = Client::new();
    let equipment = engines::equip(&binding, &runs, (face, unit.dead_letters), &client).await?;
    let dead_letter_url = binding.dead_letter_url.as_deref().map(client::url).transpose();
    let dead_letter_url = dead_letter_url.map_err(|problem| vec![format!("`dead_letter_url`: {problem}")])?;
    let (ready, in_flight) = (Ready::default(), InFlight::default());
    let (telemetry, observer) = telemetry::start(
        Who {
            app: &binding.app,
            unit: Some(&name),
            handlers: &watched(&mine, &others, unit.dead_letters),
            in_flight: in_flight.clone(),
            page: face == Face::Internal,
        },
        Arc::new(log::Log),
        &client,
    );
    let options = Options { clock: Arc::new(SystemClock), observer, faults: None, serialise_calls: false };
    let ctx = Ctx::new(&binding.app, equipment.engines, options);

    let longest = mine.iter().map(|handler| Duration::from_millis(handler.timeout_millis)).max().unwrap_or_default();
    let limits = binding.http.unwrap_or_default();
    // What has to be built may have to wait for engines; what has not answers at once.
    let waits = shared::any_taken(&runs);
    let starting = if waits { probes(&ready).fallback(|| async { starting() }) } else { Router::new() };
    let served = Served { starting, whole: Arc::default() };
    let assemble = {
        let (ctx, ready, in_flight, whole) = (ctx.clone(), ready.clone(), in_flight.clone(), served.whole.clone());
        let (dead_letters, once, page) = (equipment.dead_letters, equipment.once, telemetry.page());
        move || -> Result<(), String> {
            let served = match face {
                Face::Public => router(&ctx, &mine, &others, &in_flight, limits.body)?,
                Face::Internal => {
                    let events = events::Events::new(ctx.clone(), &mine, in_flight, client, dead_letter_url);
                    let events = events.once(once).router();
                    let events = events.fallback(|| async { problem(StatusCode::NOT_FOUND, "No such page", None) });
                    match dead_letters {
                        Some(store) => events.merge(deadletters::router(store, ctx)),
                        None => events,
                    }
                    .merge(page)
                }
            };
            let _ = whole.set(served.merge(probes(&ready)));
            Ok(())
        }
    };
    let assemble = if waits { Some(assemble) } else { assemble().map(|()| None).map_err(one)? };

    let listener = listen_at(port().map_err(one)?).await.map_err(one)?;
    scraped(&telemetry).await;
    tracing::info!(app = binding.app, unit = name, ?face, port = port().unwrap_or(PORT), "listening");
    let (give_up, given_up) = tokio::sync::oneshot::channel();
    let ending = ctx.clone();
    tokio::spawn(async move {
        let begun = async {
            ready::reach(equipment.probes).await?;
            match assemble {
                Some(assemble) => shared::build_all(&ctx, &runs).await.and_then(|()| assemble()),
                None => Ok(()),
            }
        };
        match begun.await {
            Ok(()) => {
                ready.set();
                tracing::info!("ready");
                ctx.engines().databases.relay(&ctx);
            }
            Err(problem) => {
                let _ = give_up.send(problem);
            }
        }
    });
    let end = async {
        let given_up = async {
            match given_up.await {
                Ok(problem) => problem,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended() => None,
            problem = given_up => Some(problem),
        }
    };
    let problem = listen::serve(listener, served, limits, end, longest + GRACE).await;
    let _ = tokio::time::timeout(GRACE, in_flight.idle()).await;
    telemetry.flush(GRACE).await;
    if let Some(problem) = problem {
        return Err(one(problem));
    }
    // What was committed last, since this may be the last process for long; what does not get out now, the next one hands on.
    ending.engines().databases.empty(&ending, GRACE).await;
    tracing::info!("ended");
    Ok(())
}

/// The handlers that this process runs: those of its face, and what they call and take.
fn runs(mine: &[&'static Handler], face: Face) -> Vec<&'static Handler> {
    let of_face = |handler: &&'static Handler| match handler.dispatch {
        Dispatch::Http { .. } | Dispatch::Routes { .. } | Dispatch::Layer { .. } => face == Face::Public,
        Dispatch::Consumer { .. }
        | Dispatch::Batch { .. }
        | Dispatch::Subscriber { .. }
        | Dispatch::Object { .. }
        | Dispatch::Schedule { .. } => face == Face::Internal,
        Dispatch::Function { .. } | Dispatch::Shared { .. } => false,
    };
    reached(mine, |handler| of_face(&handler))
}

/// Those of a unit's handlers that are begun from outside, and what they call and take.
pub(crate) fn reached(mine: &[&'static Handler], begun: impl Fn(&'static Handler) -> bool) -> Vec<&'static Handler> {
    let mut runs: Vec<&'static Handler> = mine.iter().copied().filter(|handler| begun(handler)).collect();
    let mut at = 0;
    while let Some(handler) = runs.get(at).copied() {
        let reached = mine.iter().filter(|other| {
            ["function", "shared"]
                .iter()
                .zip(["call", "read"])
                .any(|(kind, access)| handler.grants(kind, other.id, access))
        });
        let new: Vec<_> = reached.filter(|other| !runs.iter().any(|known| known.id == other.id)).copied().collect();
        runs.extend(new);
        at += 1;
    }
    runs
}

/// What is asked for before shared values are built.
fn starting() -> Response {
    unavailable("The application is starting", None)
}

/// Whose work is counted here: the unit's own handlers', functions' that are called in this process, and in the unit that
/// keeps dead letters everybody's.
fn watched(mine: &[&'static Handler], others: &[&'static Handler], all: bool) -> Vec<&'static Handler> {
    let callable = |handler: &&&'static Handler| all || matches!(handler.dispatch, Dispatch::Function { .. });
    mine.iter().chain(others.iter().filter(callable)).copied().collect()
}

/// The metrics on a port of their own, where that is asked for: a public face's own port is the world's. A port that can't
/// be had is no reason not to serve.
async fn scraped(telemetry: &Telemetry) {
    let Some((host, port)) = &telemetry.prometheus else { return };
    let listener = match host.as_str() {
        "0.0.0.0" | "::" => listen_at(*port).await,
        host => {
            TcpListener::bind((host, *port)).await.map_err(|error| format!("can't listen at {host}:{port}: {error}"))
        }
    };
    match listener {
        Ok(listener) => {
            let page = telemetry.page();
            tracing::info!(host, port, path = METRICS_PATH, "metrics");
            let never = std::future::pending::<()>();
            tokio::spawn(listen::serve(listener, page, HttpLimits::DEFAULT, never, GRACE));
        }
        Err(problem) => tracing::warn!(problem, "no metrics for Prometheus"),
    }
}

/// The paths that the cluster asks: a flag each, no work.
fn probes(ready: &Ready) -> Router {
    let ready = ready.clone();
    let readiness = move || {
        let ready = ready.is_set();
        async move { if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } }
    };
    Router::new().route(READY_PATH, get(readiness)).route(LIVE_PATH, get(|| async { StatusCode::OK }))
}

fn port() -> Result<u16, String> {
    match std::env::var("PORT") {
        Err(_) => Ok(PORT),
        Ok(text) => text.parse().map_err(|_| format!("PORT is `{text}`, which is no port")),
    }
}

/// On all addresses: a socket for both families where the machine has both, since clusters may have either alone.
async fn listen_at(port: u16) -> Result<TcpListener, String> {
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != ErrorKind::AddrInUse => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        listener => listener,
    };
    listener.map_err(|error| format!("can't listen on port {port}: {error}"))
}

/// Returns at SIGTERM or SIGINT. (As a container's first process, a program that doesn't ask for them never gets them.)
pub(crate) fn ended() -> impl Future<Output = ()> {
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let received = signals.iter_mut().map(|signal| {
            Box::pin(async move {
                match signal {
                    Ok(signal) => {
                        signal.recv().await;
                    }
                    Err(_) => std::future::pending().await,
                }
            })
        });
        futures_util::future::select_all(received).await;
        tracing::info!("ending");
    }
}
