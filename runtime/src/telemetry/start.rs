//! Telemetry of a running process: what the variables ask for, put together.

use super::export::{Exporter, Post};
use super::metrics::{self, Backlog, Metrics};
use super::resource::Resource;
use super::settings::Settings;
use super::tracer::Tracer;
use crate::ctx::{Event, Observer};
use crate::inflight::InFlight;
use crate::registry::Handler;
use crate::server::client::Client;
use axum::Router;
use axum::routing::get;
use http::header;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::ids::METRICS_PATH;

/// Who is watched.
pub(crate) struct Who<'a> {
    pub(crate) app: &'a str,
    /// On a laptop there is none.
    pub(crate) unit: Option<&'a str>,
    pub(crate) handlers: &'a [&'static Handler],
    pub(crate) in_flight: InFlight,
    /// Whether the metrics are shown on a page whatever the variables say.
    pub(crate) page: bool,
}

/// What runs for it.
#[derive(Default)]
pub(crate) struct Telemetry {
    metrics: Option<Metrics>,
    exporter: Option<Exporter>,
    /// A port of its own for Prometheus: host and port.
    pub(crate) prometheus: Option<(String, u16)>,
}

/// Starts what `OTEL_*` asks for, and what is told what happens from now on: `first`, alone if there is nothing else.
pub(crate) fn start(who: Who<'_>, first: Arc<dyn Observer>, client: &Client) -> (Telemetry, Arc<dyn Observer>) {
    let variable = |name: &str| std::env::var(name).ok();
    let settings = Settings::read(&variable);
    for problem in settings.iter().flat_map(|settings| &settings.problems) {
        tracing::warn!(problem, "telemetry");
    }
    let prometheus = settings.as_ref().and_then(|settings| settings.prometheus.clone());
    let counts = who.page || prometheus.is_some() || settings.as_ref().is_some_and(|it| it.metrics_url.is_some());
    let metrics = counts.then(|| Metrics::new(who.handlers, who.in_flight));
    let (mut exporter, mut tracer) = (None, None);
    if let Some(settings) = settings.filter(Settings::exports) {
        let (sampler, traces) = (settings.sampler, settings.traces_url.is_some());
        let resource = Resource::new(who.app, who.unit, &variable);
        let client = posting(&settings, client);
        let started = Exporter::start(settings, resource, metrics.clone(), client);
        if traces {
            tracer = Some(Tracer::new(sampler, Arc::new(started.clone())));
            metrics.iter().for_each(|metrics| metrics.set_exporter(started.clone()));
        }
        exporter = Some(started);
    }
    let observer = match (&metrics, &tracer) {
        (None, None) => first,
        _ => Arc::new(Watching { first, metrics: metrics.clone(), tracer }),
    };
    (Telemetry { metrics, exporter, prometheus }, observer)
}

/// The client that the endpoints need.
#[cfg(feature = "client")]
fn posting(settings: &Settings, client: &Client) -> Arc<dyn Post> {
    let urls = settings.traces_url.iter().chain(&settings.metrics_url);
    if urls.into_iter().any(|url| url.scheme_str() == Some("https")) {
        let made = crate::engines::tls::client_config().map_err(|error| error.to_string()).and_then(|tls| {
            reqwest::Client::builder().tls_backend_preconfigured(tls).build().map_err(|error| error.to_string())
        });
        match made {
            Ok(made) => return Arc::new(made),
            Err(reason) => tracing::warn!(reason, "no TLS for the collector"),
        }
    }
    Arc::new(client.clone())
}

/// The client that the endpoints need: without TLS there is one.
#[cfg(not(feature = "client"))]
fn posting(_: &Settings, client: &Client) -> Arc<dyn Post> {
    Arc::new(client.clone())
}

impl Telemetry {
    /// The page that Prometheus reads; nothing where nothing is counted.
    pub(crate) fn page(&self) -> Router {
        let Some(metrics) = self.metrics.clone() else { return Router::new() };
        let page = move || async move { ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.text()) };
        Router::new().route(METRICS_PATH, get(page))
    }

    /// Says how to learn what waits.
    #[cfg_attr(updraft_slim, expect(dead_code, reason = "a broker tells nobody what waits"))]
    pub(crate) fn set_backlog(&self, backlog: impl Fn() -> Vec<Backlog> + Send + Sync + 'static) {
        if let Some(metrics) = &self.metrics {
            metrics.set_backlog(backlog);
        }
    }

    /// Sends what is left, for at most `patience`.
    pub(crate) async fn flush(&self, patience: Duration) {
        if let Some(exporter) = &self.exporter {
            exporter.flush(patience).await;
        }
    }
}

struct Watching {
    first: Arc<dyn Observer>,
    metrics: Option<Metrics>,
    tracer: Option<Tracer>,
}

impl Observer for Watching {
    fn observe(&self, event: &Event<'_>) {
        self.first.observe(event);
        if let Some(metrics) = &self.metrics {
            metrics.observe(event);
        }
    }

    fn tracer(&self) -> Option<Tracer> {
        self.tracer.clone()
    }

    fn watches_requests(&self) -> bool {
        self.metrics.is_some() || self.first.watches_requests()
    }

    fn watches_operations(&self) -> bool {
        self.metrics.is_some() || self.first.watches_operations()
    }
}
