//! The autoscaler's annotations: only the template's count, and only known ones in their ranges.

use crate::Report;
use crate::value::{entries, go_seconds, text};
use serde_json::Value;

const PREFIX: &str = "autoscaling.knative.dev/";
const HOUR: f64 = 3_600.0;

/// On the Service itself they would do nothing.
pub fn misplaced(annotations: &Value, report: &mut Report<'_>) {
    for (key, _) in entries(annotations) {
        let good = !key.starts_with(PREFIX);
        report.require(
            good,
            "autoscaling/misplaced",
            format!("metadata.annotations.{key}"),
            "belongs to spec.template.metadata",
        );
    }
}

/// Names and values on the template.
pub fn check(annotations: &Value, report: &mut Report<'_>) {
    let number = |name: &str| text(&annotations[format!("{PREFIX}{name}")]).parse::<u32>().ok();
    for (key, value) in entries(annotations) {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        if let Err(wanted) = value_of(name, text(value), annotations) {
            let rule = if wanted.is_empty() { "autoscaling/unknown" } else { "autoscaling/value" };
            let message =
                if wanted.is_empty() { "no such annotation".to_owned() } else { format!("{value} is not {wanted}") };
            report.add(rule, format!("spec.template.metadata.annotations.{key}"), message);
        }
    }
    let (min, max) = (number("min-scale").unwrap_or(0), number("max-scale"));
    let path = "spec.template.metadata.annotations";
    report.require(
        max != Some(0) && max.is_some(),
        "autoscaling/unbounded",
        path,
        "max-scale is not set: a bill without end",
    );
    let ordered = max.is_none_or(|max| max == 0 || min <= max);
    report.require(ordered, "autoscaling/value", path, "min-scale is above max-scale");
}

/// Whether a value is right; else what it should be, empty if the name is unknown.
fn value_of(name: &str, value: &str, all: &Value) -> Result<(), &'static str> {
    let within = |low: f64, high: f64| value.parse::<f64>().is_ok_and(|number| (low..=high).contains(&number));
    let seconds = |low: f64, high: f64| go_seconds(value).is_some_and(|seconds| (low..=high).contains(&seconds));
    let whole = |low: u32| value.parse::<u32>().is_ok_and(|number| number >= low);
    let hold = |held: bool, wanted: &'static str| if held { Ok(()) } else { Err(wanted) };
    let horizontal = text(&all[format!("{PREFIX}class")]).starts_with("hpa.");
    match name {
        "class" => {
            hold(matches!(value, "kpa.autoscaling.knative.dev" | "hpa.autoscaling.knative.dev"), "a class of Knative's")
        }
        "metric" if horizontal => hold(!value.is_empty(), "a metric"),
        "metric" => hold(matches!(value, "concurrency" | "rps"), "concurrency or rps"),
        "target" => hold(within(0.01, f64::MAX), "at least 0.01"),
        "target-utilization-percentage" => hold(within(1.0, 100.0), "from 1 to 100"),
        "target-burst-capacity" => hold(value == "-1" || within(0.0, f64::MAX), "-1 or more"),
        "min-scale" | "max-scale" => hold(whole(0), "a whole number"),
        "initial-scale" => hold(whole(1), "a whole number above 0"),
        "activation-scale" => hold(whole(2), "a whole number above 1"),
        "window" => hold(seconds(6.0, HOUR), "from 6s to 1h"),
        "scale-down-delay" | "scale-to-zero-pod-retention-period" => hold(seconds(0.0, HOUR), "from 0s to 1h"),
        "panic-window-percentage" => hold(within(1.0, 100.0), "from 1 to 100"),
        "panic-threshold-percentage" => hold(within(110.0, 1_000.0), "from 110 to 1000"),
        _ => Err(""),
    }
}
