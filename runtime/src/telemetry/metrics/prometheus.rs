//! Prometheus' text format, version 0.0.4. Dots become underscores, a unit and a counter's `_total` end the name.

use super::{Metric, Point, Points};
use std::fmt::{self, Display, Write};

/// What the format is called.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn text(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for metric in metrics {
        // Writing to a text can't fail.
        let _ = write_metric(&mut text, metric);
    }
    text
}

fn write_metric(out: &mut String, metric: &Metric) -> fmt::Result {
    let mut name = metric.name.replace('.', "_");
    if metric.unit == "s" {
        name.push_str("_seconds");
    }
    let kind = match &metric.points {
        Points::Gauge(_) => "gauge",
        Points::Counter(_) => {
            name.push_str("_total");
            "counter"
        }
        Points::Histogram(_) => "histogram",
    };
    writeln!(out, "# HELP {name} {}", metric.help.replace('\\', "\\\\").replace('\n', "\\n"))?;
    writeln!(out, "# TYPE {name} {kind}")?;
    match &metric.points {
        Points::Gauge(points) | Points::Counter(points) => {
            for Point { labels, value } in points {
                writeln!(out, "{name}{} {value}", Labels(labels, None))?;
            }
        }
        Points::Histogram(points) => {
            for Point { labels, value } in points {
                let mut total = 0;
                for (at, count) in value.counts.iter().enumerate() {
                    total += count;
                    let bound = value.bounds.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
                    writeln!(out, "{name}_bucket{} {total}", Labels(labels, Some(&bound)))?;
                }
                writeln!(out, "{name}_sum{} {}", Labels(labels, None), value.sum)?;
                writeln!(out, "{name}_count{} {total}", Labels(labels, None))?;
            }
        }
    }
    Ok(())
}

/// `{handler="shop::ship",le="0.1"}`.
struct Labels<'a>(&'a [(&'static str, &'static str)], Option<&'a str>);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().copied().chain(self.1.map(|bound| ("le", bound)));
        let mut before = "{";
        for (name, value) in all {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{before}{name}=\"{value}\"")?;
            before = ",";
        }
        if before == "," { f.write_str("}") } else { Ok(()) }
    }
}
