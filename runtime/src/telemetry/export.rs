//! To a collector, in batches, by OTLP over HTTP. Whatever becomes of the collector, nobody waits for it: spans queue up to a
//! bound and are dropped beyond it, and drops are counted.

use super::metrics::Metrics;
use super::otlp;
use super::resource::Resource;
use super::settings::Settings;
use super::span::Finished;
use super::tracer::Sink;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The pause after a collector that was away or busy; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// OTLP over HTTP's content type.
const PROTOBUF: &str = "application/x-protobuf";

/// Posts a request's body; gives the answer's status, or why there was none in time.
pub(crate) trait Post: Send + Sync + 'static {
    /// Posts.
    fn post(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> crate::engine::BoxFuture<'_, Result<StatusCode, String>>;
}

/// The exporter. Clones share it.
#[derive(Clone)]
pub(crate) struct Exporter {
    spans: mpsc::Sender<Finished>,
    orders: mpsc::Sender<oneshot::Sender<()>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Sink for Exporter {
    fn take(&self, span: Finished) {
        if self.spans.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Exporter {
    /// Starts it, on the runtime that this is called on.
    pub(crate) fn start(
        settings: Settings,
        resource: Resource,
        metrics: Option<Metrics>,
        client: Arc<dyn Post>,
    ) -> Self {
        let (spans, queue) = mpsc::channel(settings.queue);
        let (orders, flushes) = mpsc::channel(1);
        let counts = Arc::new(Counts::default());
        let metrics = metrics.filter(|_| settings.metrics_url.is_some());
        let started = nanoseconds();
        let worker =
            Worker { settings, resource, metrics, client, counts: counts.clone(), started, said: String::new() };
        tokio::spawn(worker.run(queue, flushes));
        Exporter { spans, orders, counts }
    }

    /// Spans that the collector took, and spans that were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counts.sent.load(Ordering::Relaxed), self.counts.dropped.load(Ordering::Relaxed))
    }

    /// Sends what has ended so far, for at most `patience`. What is left then is lost.
    pub(crate) async fn flush(&self, patience: Duration) {
        let flushed = async {
            let (done, wait) = oneshot::channel();
            if self.orders.send(done).await.is_ok() {
                let _ = wait.await;
            }
        };
        if tokio::time::timeout(patience, flushed).await.is_err() {
            tracing::warn!(seconds = patience.as_secs_f64(), "the collector did not take all in time");
        }
        let (_, dropped) = self.counts();
        if dropped > 0 {
            tracing::warn!(dropped, "spans were lost: the collector was away or too slow");
        }
    }
}

struct Worker {
    settings: Settings,
    resource: Resource,
    metrics: Option<Metrics>,
    client: Arc<dyn Post>,
    counts: Arc<Counts>,
    /// When counting began, in nanoseconds since 1970.
    started: u64,
    /// What went wrong last, so that it is not said again and again.
    said: String,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<Finished>, mut flushes: mpsc::Receiver<oneshot::Sender<()>>) {
        let mut batch = Vec::with_capacity(self.settings.batch);
        let mut told = Instant::now();
        let mut due = None; // when the batch is sent, however small
        loop {
            let metrics_due = told + self.settings.metrics_interval;
            let until = due.map_or(metrics_due, |due: Instant| due.min(metrics_due));
            let (mut flush, free) = (None, self.settings.batch - batch.len());
            tokio::select! {
                order = flushes.recv() => match order {
                    Some(order) => flush = Some(order),
                    None => return,
                },
                count = queue.recv_many(&mut batch, free) => {
                    if count == 0 { return }
                    due.get_or_insert_with(|| Instant::now() + self.settings.delay);
                }
                () = tokio::time::sleep_until(until) => {}
            }
            let now = Instant::now();
            if flush.is_some() {
                // All that is there now; what comes meanwhile is after the flush.
                let mut left = queue.len();
                while left > 0 {
                    left -= queue.recv_many(&mut batch, left.min(self.settings.batch)).await;
                    self.send_spans(&mut batch).await;
                }
            }
            if flush.is_some() || batch.len() >= self.settings.batch || due.is_some_and(|due| due <= now) {
                self.send_spans(&mut batch).await;
                due = None;
            }
            if flush.is_some() || metrics_due <= now {
                self.send_metrics().await;
                told = Instant::now();
            }
            if let Some(flushed) = flush {
                let _ = flushed.send(());
            }
        }
    }

    async fn send_spans(&mut self, batch: &mut Vec<Finished>) {
        let Some(url) = self.settings.traces_url.clone().filter(|_| !batch.is_empty()) else { return batch.clear() };
        let body = otlp::traces(&self.resource, batch);
        let count = batch.len() as u64;
        batch.clear();
        let headers = self.settings.traces_headers.clone();
        let counter = if self.send(&url, headers, body).await { &self.counts.sent } else { &self.counts.dropped };
        counter.fetch_add(count, Ordering::Relaxed);
    }

    async fn send_metrics(&mut self) {
        let (Some(metrics), Some(url)) = (&self.metrics, self.settings.metrics_url.clone()) else { return };
        let body = otlp::metrics(&self.resource, &metrics.read(), self.started, nanoseconds());
        self.send(&url, self.settings.metrics_headers.clone(), body).await;
    }

    /// Whether the collector took it. Tried again while that may help and the time that an export may take is not over:
    /// these statuses are OTLP's.
    async fn send(&mut self, url: &Uri, mut headers: HeaderMap, body: Vec<u8>) -> bool {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        let body = Bytes::from(body);
        let (end, mut pause) = (Instant::now() + self.settings.patience, FIRST_PAUSE);
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(self.settings.timeout);
            let answer = self.client.post(url, headers.clone(), body.clone(), left).await;
            let (again, reason) = match answer {
                Ok(status) if status.is_success() => {
                    if !self.said.is_empty() {
                        tracing::info!("the collector takes telemetry again");
                        self.said.clear();
                    }
                    return true;
                }
                Ok(status) => (matches!(status.as_u16(), 429 | 502 | 503 | 504), format!("it answered {status}")),
                Err(reason) => (true, reason),
            };
            if reason != self.said {
                tracing::warn!(%url, reason, "the collector does not take telemetry");
                self.said = reason;
            }
            if !again || Instant::now() + pause >= end {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Since 1970.
fn nanoseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
