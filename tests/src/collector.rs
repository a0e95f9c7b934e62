//! A collector that keeps what it is sent: OTLP over HTTP, decoded with OpenTelemetry's own types.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
pub use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// Takes everything.
    Well,
    /// Answers 503.
    Busy,
    /// Answers never.
    Asleep,
}

/// The collector.
pub struct Collector {
    port: u16,
    mood: AtomicU8,
    spans: Mutex<Vec<Told>>,
    metrics: Mutex<Vec<(String, Metric)>>,
    problems: Mutex<Vec<String>>,
}

/// A span, and who told of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// `service.name` of its resource.
    pub service: String,
    /// The span.
    pub span: Span,
}

impl Told {
    /// A text attribute, or a number's text.
    pub fn attribute(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }

    /// The trace's id in hex.
    pub fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// The span's id in hex.
    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }
}

impl Collector {
    /// Listens on a free port of loopback.
    pub async fn listen() -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let collector = Arc::new(Collector {
            port: listener.local_addr().expect("an address").port(),
            mood: AtomicU8::new(Mood::Well as u8),
            spans: Mutex::default(),
            metrics: Mutex::default(),
            problems: Mutex::default(),
        });
        let router = Router::new().route("/v1/traces", post(traces)).route("/v1/metrics", post(metrics));
        let router = router.with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on.
    pub fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// All spans so far.
    ///
    /// # Panics
    /// If something was sent that is no OTLP.
    pub fn spans(&self) -> Vec<Told> {
        let problems = self.problems.lock().expect("unpoisoned");
        assert!(problems.is_empty(), "{problems:?}");
        self.spans.lock().expect("unpoisoned").clone()
    }

    /// All metrics so far, with `service.name`.
    pub fn metrics(&self) -> Vec<(String, Metric)> {
        self.metrics.lock().expect("unpoisoned").clone()
    }

    /// Waits until what it got satisfies `enough`, and gives all spans.
    ///
    /// # Panics
    /// If that takes longer than `patience`.
    pub async fn until(&self, patience: Duration, enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let started = Instant::now();
        loop {
            let spans = self.spans();
            if enough(&spans) {
                return spans;
            }
            assert!(started.elapsed() < patience, "not enough: {}", tree(&spans));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn refuses(&self) -> Option<StatusCode> {
        match self.mood.load(Ordering::SeqCst) {
            mood if mood == Mood::Busy as u8 => Some(StatusCode::SERVICE_UNAVAILABLE),
            mood if mood == Mood::Asleep as u8 => std::future::pending().await,
            _ => None,
        }
    }

    fn read<T: Message + Default>(&self, headers: &HeaderMap, body: Bytes) -> T {
        let problem = |problem: String| self.problems.lock().expect("unpoisoned").push(problem);
        if headers.get("content-type").is_none_or(|kind| kind != "application/x-protobuf") {
            problem(format!("{headers:?}"));
        }
        T::decode(body).unwrap_or_else(|error| {
            problem(error.to_string());
            T::default()
        })
    }
}

async fn traces(State(collector): State<Arc<Collector>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(status) = collector.refuses().await {
        return status;
    }
    let request: ExportTraceServiceRequest = collector.read(&headers, body);
    for told in request.resource_spans {
        let resource = told.resource.unwrap_or_default();
        let service = text(&resource.attributes, "service.name").unwrap_or_default();
        let spans = told.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let told = spans.map(|span| Told { service: service.clone(), span });
        collector.spans.lock().expect("unpoisoned").extend(told);
    }
    StatusCode::OK
}

async fn metrics(State(collector): State<Arc<Collector>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(status) = collector.refuses().await {
        return status;
    }
    let request: ExportMetricsServiceRequest = collector.read(&headers, body);
    for told in request.resource_metrics {
        let resource = told.resource.unwrap_or_default();
        let service = text(&resource.attributes, "service.name").unwrap_or_default();
        let metrics = told.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        let told = metrics.map(|metric| (service.clone(), metric));
        collector.metrics.lock().expect("unpoisoned").extend(told);
    }
    StatusCode::OK
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|pair| pair.key == name)?.value.clone()?;
    match value {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Spans as an indented tree, one a line: `service: name`, with a failed one's error. Siblings are sorted, and those that
/// look alike stand once (deliveries may be repeated).
pub fn tree(spans: &[Told]) -> String {
    fn grow(spans: &[Told], parents: &[Vec<u8>], depth: usize, out: &mut String) {
        let children = spans.iter().filter(|told| parents.contains(&told.span.parent_span_id));
        let mut lines: Vec<(String, Vec<u8>)> = children.map(|told| (line(told), told.span.span_id.clone())).collect();
        lines.sort();
        while let Some((first, _)) = lines.first().cloned() {
            let alike: Vec<Vec<u8>> =
                lines.iter().filter(|(line, _)| *line == first).map(|(_, id)| id.clone()).collect();
            lines.retain(|(line, _)| *line != first);
            out.push_str(&format!("{}{first}\n", "  ".repeat(depth)));
            grow(spans, &alike, depth + 1, out);
        }
    }
    fn line(told: &Told) -> String {
        let error = told.span.status.as_ref().filter(|status| status.code == 2);
        let error = error.map(|status| format!(" ! {}", status.message)).unwrap_or_default();
        format!("{}: {}{error}", told.service, told.span.name)
    }
    let known: Vec<&Vec<u8>> = spans.iter().map(|told| &told.span.span_id).collect();
    let roots = spans.iter().map(|told| &told.span.parent_span_id).filter(|parent| !known.contains(parent));
    let mut roots: Vec<Vec<u8>> = roots.cloned().collect();
    roots.sort();
    roots.dedup();
    let mut out = String::new();
    grow(spans, &roots, 0, &mut out);
    out
}
