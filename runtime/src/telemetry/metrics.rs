//! Metrics: counted by atomics as things happen, read when somebody asks.
//!
//! Handlers and resources are known at the start, so every series has its place from then on: no lock and no allocation
//! where something is counted, and no label whose values a client could choose.

mod histogram;
mod prometheus;

use super::export::Exporter;
use crate::ctx::{Event, Observer, Verdict};
use crate::dispatch::FailureKind;
use crate::engine::Channel;
use crate::inflight::InFlight;
use crate::registry::{Dispatch, Handler};
use histogram::Histogram;
pub(crate) use prometheus::CONTENT_TYPE;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use updraft_wire::Grants;

/// How long handlers take, in seconds: the semantic conventions' bounds for requests, and what a schedule may take.
const DURATIONS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0];
/// How long messages wait, in seconds: from a moment to a day.
const AGES: &[f64] = &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];
/// How long engines take, in seconds.
const OPERATIONS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// How a handler's work can end: a request by its status's class, anything else by its failure.
const OUTCOMES: [&str; 10] = ["2xx", "3xx", "4xx", "5xx", "ok", "error", "permanent", "panic", "timeout", "skew"];
/// Where [`OUTCOMES`] stops being about requests.
const STATUSES: usize = 4;
/// Requests that were switched to another protocol are answered well.
const SWITCHED: usize = 0;

/// The metrics of one application. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    handlers: BTreeMap<&'static str, OfHandler>,
    /// Kind and id.
    channels: BTreeMap<(&'static str, &'static str), AtomicU64>,
    engines: BTreeMap<(&'static str, &'static str), OfEngine>,
    in_flight: InFlight,
    backlog: OnceLock<Box<dyn Fn() -> Vec<Backlog> + Send + Sync>>,
    exporter: OnceLock<Exporter>,
}

struct OfHandler {
    trigger: &'static str,
    outcomes: [AtomicU64; OUTCOMES.len()],
    duration: Histogram,
    age: Histogram,
    retries: AtomicU64,
    buried: AtomicU64,
}

struct OfEngine {
    duration: Histogram,
    errors: AtomicU64,
}

/// What waits for a handler, where the engine can tell.
pub(crate) struct Backlog {
    /// The handler.
    pub(crate) handler: &'static str,
    /// Due now.
    pub(crate) due: usize,
    /// Held back by a delay or a retry's pause.
    pub(crate) later: usize,
    /// In a handler's hands.
    pub(crate) held: usize,
    /// How long ago the first of the due ones became due.
    pub(crate) oldest: Duration,
}

impl Metrics {
    /// Of these handlers, and of what they reach.
    pub(crate) fn new(handlers: &[&'static Handler], in_flight: InFlight) -> Self {
        let (mut channels, mut engines) = (BTreeMap::new(), BTreeMap::new());
        for (kind, id) in handlers.iter().flat_map(|handler| reached(&handler.grants)) {
            match kind {
                "queue" | "topic" => drop(channels.insert((kind, id), AtomicU64::new(0))),
                "store" | "bucket" | "external" => {
                    let engine = OfEngine { duration: Histogram::new(OPERATIONS), errors: AtomicU64::new(0) };
                    engines.insert((kind, id), engine);
                }
                _ => {}
            }
        }
        let of_handler = |handler: &&'static Handler| {
            let of = OfHandler {
                trigger: trigger(handler),
                outcomes: Default::default(),
                duration: Histogram::new(DURATIONS),
                age: Histogram::new(AGES),
                retries: AtomicU64::new(0),
                buried: AtomicU64::new(0),
            };
            (handler.id, of)
        };
        // What others are made of, or run inside, is not counted by itself.
        let counted = |handler: &&&'static Handler| {
            !matches!(handler.dispatch, Dispatch::Routes { .. } | Dispatch::Layer { .. } | Dispatch::Shared { .. })
        };
        let handlers = handlers.iter().filter(counted).map(of_handler).collect();
        let (backlog, exporter) = (OnceLock::new(), OnceLock::new());
        Metrics(Arc::new(Inner { handlers, channels, engines, in_flight, backlog, exporter }))
    }

    /// Says how to learn what waits. Asked when metrics are read.
    pub(crate) fn set_backlog(&self, backlog: impl Fn() -> Vec<Backlog> + Send + Sync + 'static) {
        let _ = self.0.backlog.set(Box::new(backlog));
    }

    /// Says whose own counts to tell too.
    pub(crate) fn set_exporter(&self, exporter: Exporter) {
        let _ = self.0.exporter.set(exporter);
    }

    /// Text in Prometheus' format.
    pub(crate) fn text(&self) -> String {
        prometheus::text(&self.read())
    }

    /// All series as they stand.
    pub(super) fn read(&self) -> Vec<Metric> {
        let Inner { handlers, channels, engines, in_flight, backlog, exporter } = &*self.0;
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        let handled = |of: &OfHandler, id: &&'static str| vec![("handler", *id), ("trigger", of.trigger)];
        let takes_messages = |of: &OfHandler| !matches!(of.trigger, "http" | "function");
        let waiting = |(id, of): (&&'static str, &OfHandler)| {
            takes_messages(of).then(|| (*id, of.retries.load(Ordering::Relaxed), of.buried.load(Ordering::Relaxed)))
        };

        let mut attempts = Vec::new();
        for (id, of) in handlers {
            let mine = if of.trigger == "http" { 0..STATUSES } else { STATUSES..OUTCOMES.len() };
            for outcome in mine {
                let mut labels = handled(of, id);
                labels.push(("outcome", OUTCOMES[outcome]));
                attempts.push(Point { labels, value: number(&of.outcomes[outcome]) });
            }
        }
        let durations = handlers.iter().map(|(id, of)| Point { labels: handled(of, id), value: of.duration.read() });
        let ages = handlers.iter().filter(|(_, of)| takes_messages(of));
        let ages = ages.map(|(id, of)| Point { labels: vec![("handler", *id)], value: of.age.read() });
        let retries = handlers.iter().filter_map(waiting);
        let retries = retries.map(|(id, retries, _)| Point { labels: vec![("handler", id)], value: retries as f64 });
        let buried =
            handlers.iter().map(|(id, of)| Point { labels: vec![("handler", *id)], value: number(&of.buried) });
        let placed = |(kind, id): &(&'static str, &'static str)| vec![("kind", *kind), ("resource", *id)];
        let sent = channels.iter().map(|(at, count)| Point { labels: placed(at), value: number(count) });
        let operations = engines.iter().map(|(at, of)| Point { labels: placed(at), value: of.duration.read() });
        let errors = engines.iter().map(|(at, of)| Point { labels: placed(at), value: number(&of.errors) });

        let mut all = vec![
            Metric::counter("updraft.attempts", "Requests, messages, runs and calls that came to an end.", attempts),
            Metric::histogram(
                "updraft.handler.duration",
                "From the beginning to the answer or the outcome.",
                durations,
            ),
            Metric::histogram("updraft.message.age", "From sending, or a run's time, to an attempt's beginning.", ages),
            Metric::counter("updraft.retries", "Attempts that failed and are made again.", retries),
            Metric::counter("updraft.dead_letters", "Messages that were put among the dead letters here.", buried),
            Metric::counter("updraft.messages.sent", "Messages that handlers sent or tried to send.", sent),
            Metric::histogram("updraft.operation.duration", "How long engines took.", operations),
            Metric::counter("updraft.operation.errors", "Operations that engines could not do.", errors),
            Metric::gauge(
                "updraft.in_flight",
                "Handlers that are at work.",
                [Point { labels: Vec::new(), value: in_flight.count() as f64 }],
            ),
        ];
        if let Some(backlog) = backlog.get() {
            let (mut counts, mut ages) = (Vec::new(), Vec::new());
            for Backlog { handler, due, later, held, oldest } in backlog() {
                for (state, count) in [("due", due), ("later", later), ("held", held)] {
                    counts.push(Point { labels: vec![("handler", handler), ("state", state)], value: count as f64 });
                }
                ages.push(Point { labels: vec![("handler", handler)], value: oldest.as_secs_f64() });
            }
            all.push(Metric::gauge("updraft.backlog", "Messages that wait or are held.", counts));
            let help = "How long the first message that is due has been due.";
            all.push(Metric { unit: "s", ..Metric::gauge("updraft.backlog.age", help, ages) });
        }
        if let Some(exporter) = exporter.get() {
            let (sent, dropped) = exporter.counts();
            let one = |value: u64| [Point { labels: Vec::new(), value: value as f64 }];
            all.push(Metric::counter("updraft.spans.exported", "Spans that the collector took.", one(sent)));
            let help = "Spans that were lost because the collector was away or too slow.";
            all.push(Metric::counter("updraft.spans.dropped", help, one(dropped)));
        }
        all
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        let add = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let Inner { handlers, channels, engines, .. } = &*self.0;
        match event {
            Event::Answered { handler, status, elapsed, .. } => {
                let Some(of) = handlers.get(handler) else { return };
                of.duration.record(*elapsed);
                add(&of.outcomes[usize::from(status / 100).checked_sub(2).map_or(SWITCHED, |at| at.min(STATUSES - 1))]);
            }
            Event::Began { handler, age } => {
                if let Some(of) = handlers.get(handler) {
                    of.age.record(*age);
                }
            }
            Event::Finished { handler, elapsed, failure, .. } => {
                let Some(of) = handlers.get(handler) else { return };
                of.duration.record(*elapsed);
                let outcome = match failure {
                    None => STATUSES,
                    Some((failure, _)) => match failure.kind {
                        FailureKind::Error => STATUSES + 1,
                        FailureKind::Permanent => STATUSES + 2,
                        FailureKind::Panic => STATUSES + 3,
                        FailureKind::Timeout => STATUSES + 4,
                        FailureKind::Skew { .. } => STATUSES + 5,
                    },
                };
                add(&of.outcomes[outcome]);
                if let Some((_, Verdict::Retry(_))) = failure {
                    add(&of.retries);
                }
            }
            Event::Sent { channel, .. } => {
                let at = match channel {
                    Channel::Queue(id) => ("queue", *id),
                    Channel::Topic(id) => ("topic", *id),
                };
                channels.get(&at).into_iter().for_each(add);
            }
            Event::Operated { kind, resource, elapsed, error, .. } => {
                let Some(of) = engines.get(&(*kind, *resource)) else { return };
                of.duration.record(*elapsed);
                if error.is_some() {
                    add(&of.errors);
                }
            }
            Event::Buried { handler, .. } => {
                handlers.get(handler).into_iter().for_each(|of| add(&of.buried));
            }
            Event::Injected { .. } | Event::StoodIn { .. } => {}
        }
    }

    fn watches_operations(&self) -> bool {
        true
    }
}

/// A metric as it is told: to Prometheus as text, to a collector by OTLP.
pub(super) struct Metric {
    /// With dots: `updraft.handler.duration`.
    pub(super) name: &'static str,
    /// For people.
    pub(super) help: &'static str,
    /// UCUM: `s`, or nothing.
    pub(super) unit: &'static str,
    pub(super) points: Points,
}

/// A metric's series.
pub(super) enum Points {
    Gauge(Vec<Point<f64>>),
    Counter(Vec<Point<f64>>),
    Histogram(Vec<Point<histogram::Counts>>),
}

/// One series.
pub(super) struct Point<T> {
    pub(super) labels: Vec<(&'static str, &'static str)>,
    pub(super) value: T,
}

impl Metric {
    fn counter(name: &'static str, help: &'static str, points: impl IntoIterator<Item = Point<f64>>) -> Self {
        Metric { name, help, unit: "", points: Points::Counter(points.into_iter().collect()) }
    }

    fn gauge(name: &'static str, help: &'static str, points: impl IntoIterator<Item = Point<f64>>) -> Self {
        Metric { name, help, unit: "", points: Points::Gauge(points.into_iter().collect()) }
    }

    fn histogram(
        name: &'static str,
        help: &'static str,
        points: impl IntoIterator<Item = Point<histogram::Counts>>,
    ) -> Self {
        Metric { name, help, unit: "s", points: Points::Histogram(points.into_iter().collect()) }
    }
}

/// The kinds and ids of all that grants reach.
fn reached(grants: &Grants) -> Vec<(&'static str, &'static str)> {
    match grants {
        Grants::None => Vec::new(),
        Grants::One { kind, resource, .. } => vec![(kind, resource)],
        Grants::All(all) => all.iter().flat_map(reached).collect(),
    }
}

fn trigger(handler: &Handler) -> &'static str {
    match handler.dispatch {
        Dispatch::Http { .. } => "http",
        Dispatch::Consumer { .. } | Dispatch::Batch { .. } => "consumer",
        Dispatch::Subscriber { .. } => "subscriber",
        Dispatch::Object { .. } => "object",
        Dispatch::Schedule { .. } => "schedule",
        Dispatch::Function { .. } => "function",
        Dispatch::Routes { .. } => "routes",
        Dispatch::Layer { .. } => "layer",
        Dispatch::Shared { .. } => "shared",
    }
}
