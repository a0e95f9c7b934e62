//! OTLP's requests, as protobuf: `opentelemetry.proto` 1.x. Field numbers are those of its files.

use super::metrics::{Metric, Point, Points};
use super::protobuf::Message;
use super::resource::Resource;
use super::span::{Finished, Value};

/// The library that speaks.
const SCOPE: &str = "updraft";
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
/// In `Span.flags`: whether the parent is known to be remote. It is not.
const FLAGS_MASK: u32 = 0xff;

/// `ExportTraceServiceRequest`.
pub(super) fn traces(resource: &Resource, spans: &[Finished]) -> Vec<u8> {
    request(resource, |scope_spans| {
        for span in spans {
            scope_spans.message(2, |out| self::span(out, span));
        }
    })
}

/// `ExportMetricsServiceRequest`; `start` and `now` in nanoseconds since 1970.
pub(super) fn metrics(resource: &Resource, metrics: &[Metric], start: u64, now: u64) -> Vec<u8> {
    request(resource, |scope_metrics| {
        for metric in metrics {
            scope_metrics.message(2, |out| self::metric(out, metric, start, now));
        }
    })
}

/// Both requests have one form: resource, scope, and what is told.
fn request(resource: &Resource, tell: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.message(1, |out| resource.write(out));
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| {
                scope.bytes(1, SCOPE.as_bytes());
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            tell(of_scope);
        });
    });
    request.into_bytes()
}

fn span(out: &mut Message, span: &Finished) {
    out.bytes(1, &span.context.trace_id);
    out.bytes(2, &span.context.span_id);
    out.bytes(3, span.context.state.as_deref().unwrap_or_default().as_bytes());
    out.bytes(4, span.parent.as_ref().map_or(&[][..], |parent| parent));
    out.bytes(5, span.name.as_bytes());
    out.number(6, span.kind as u64);
    out.fixed64(7, span.start);
    out.fixed64(8, span.end);
    for (name, value) in &span.attributes {
        out.message(9, |pair| match value {
            Value::Text(text) => text_attribute(pair, name, text),
            Value::Number(number) => {
                pair.bytes(1, name.as_bytes());
                pair.message(2, |any| any.some_number(3, *number as u64));
            }
        });
    }
    for cause in &span.links {
        out.message(13, |link| {
            link.bytes(1, &cause.trace_id);
            link.bytes(2, &cause.span_id);
            link.bytes(3, cause.state.as_deref().unwrap_or_default().as_bytes());
            link.fixed32(6, u32::from(cause.flags) & FLAGS_MASK);
        });
    }
    if let Some(reason) = &span.error {
        out.message(15, |status| {
            status.bytes(2, reason.as_bytes());
            status.number(3, ERROR);
        });
    }
    out.fixed32(16, u32::from(span.context.flags) & FLAGS_MASK);
}

/// A `KeyValue` that holds a text.
pub(super) fn text_attribute(pair: &mut Message, name: &str, value: &str) {
    pair.bytes(1, name.as_bytes());
    pair.message(2, |any| any.some_bytes(1, value.as_bytes()));
}

fn metric(out: &mut Message, metric: &Metric, start: u64, now: u64) {
    out.bytes(1, metric.name.as_bytes());
    out.bytes(2, metric.help.as_bytes());
    out.bytes(3, metric.unit.as_bytes());
    let number = |out: &mut Message, point: &Point<f64>| {
        labels(out, 7, point);
        out.fixed64(2, start);
        out.fixed64(3, now);
        out.some_double(4, point.value);
    };
    match &metric.points {
        Points::Gauge(points) => out.message(5, |gauge| {
            for point in points {
                gauge.message(1, |out| number(out, point));
            }
        }),
        Points::Counter(points) => out.message(7, |sum| {
            for point in points {
                sum.message(1, |out| number(out, point));
            }
            sum.number(2, CUMULATIVE);
            sum.number(3, 1); // only ever grows
        }),
        Points::Histogram(points) => out.message(9, |histogram| {
            for point in points {
                histogram.message(1, |out| {
                    labels(out, 9, point);
                    out.fixed64(2, start);
                    out.fixed64(3, now);
                    out.fixed64(4, point.value.counts.iter().sum());
                    out.some_double(5, point.value.sum);
                    out.packed64(6, point.value.counts.iter().copied());
                    out.packed64(7, point.value.bounds.iter().map(|bound| bound.to_bits()));
                });
            }
            histogram.number(2, CUMULATIVE);
        }),
    }
}

fn labels<T>(out: &mut Message, field: u32, point: &Point<T>) {
    for (name, value) in &point.labels {
        out.message(field, |pair| text_attribute(pair, name, value));
    }
}
