//! Knative Eventing's webhook: brokers, triggers, sources.

use crate::value::{cron_error, entries, iso_seconds, items, text};
use crate::{Manifest, Report};
use serde_json::Value;

const DIALECTS: [&str; 7] = ["exact", "prefix", "suffix", "all", "any", "not", "cesql"];

/// Rules of a Broker, a Trigger or a PingSource.
pub fn check(manifest: &Manifest, report: &mut Report<'_>) {
    let spec = &manifest.value["spec"];
    if manifest.is("eventing.knative.dev", "Broker") {
        let class = text(&manifest.value["metadata"]["annotations"]["eventing.knative.dev/broker.class"]);
        report.require(
            !class.is_empty(),
            "eventing/broker-class",
            "metadata.annotations",
            "names no class, which can't be changed later",
        );
        delivery(&spec["delivery"], report);
    }
    if manifest.is("eventing.knative.dev", "Trigger") {
        report.require(!text(&spec["broker"]).is_empty(), "eventing/broker", "spec.broker", "is missing");
        destination(&spec["subscriber"], "spec.subscriber", report);
        for (at, held) in items(&spec["filters"]).iter().enumerate() {
            filter(held, &format!("spec.filters[{at}]"), report);
        }
        attributes(&spec["filter"]["attributes"], "spec.filter.attributes", report);
        delivery(&spec["delivery"], report);
    }
    if manifest.is("sources.knative.dev", "PingSource") {
        ping(spec, report);
    }
}

fn destination(destination: &Value, path: &str, report: &mut Report<'_>) {
    let (reference, uri) = (&destination["ref"], &destination["uri"]);
    report.require(!reference.is_null() || !uri.is_null(), "eventing/destination", path, "names neither ref nor uri");
    if reference.is_object() {
        for field in ["apiVersion", "kind", "name"] {
            let there = !text(&reference[field]).is_empty();
            report.require(there, "eventing/destination", format!("{path}.ref.{field}"), "is missing");
        }
        let relative = uri.is_null() || text(uri).starts_with('/');
        report.require(relative, "eventing/destination", format!("{path}.uri"), "beside a ref a uri is a path");
    }
}

fn filter(filter: &Value, path: &str, report: &mut Report<'_>) {
    let used: Vec<&str> = entries(filter).map(|(dialect, _)| dialect.as_str()).collect();
    let known = used.iter().all(|dialect| DIALECTS.contains(dialect));
    report.require(
        known && used.len() == 1,
        "eventing/filter",
        path,
        format!("{used:?}, exactly one dialect is meant"),
    );
    for dialect in ["exact", "prefix", "suffix"] {
        attributes(&filter[dialect], &format!("{path}.{dialect}"), report);
    }
    for dialect in ["all", "any"] {
        for (at, inner) in items(&filter[dialect]).iter().enumerate() {
            self::filter(inner, &format!("{path}.{dialect}[{at}]"), report);
        }
    }
    if filter.get("not").is_some() {
        self::filter(&filter["not"], &format!("{path}.not"), report);
    }
}

fn attributes(attributes: &Value, path: &str, report: &mut Report<'_>) {
    for (name, value) in entries(attributes) {
        let good = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        report.require(good, "eventing/attribute", format!("{path}.{name}"), "is no attribute's name");
        report.require(
            value.is_string(),
            "eventing/attribute",
            format!("{path}.{name}"),
            format!("{value} is no string"),
        );
    }
}

fn delivery(delivery: &Value, report: &mut Report<'_>) {
    let path = "spec.delivery";
    if delivery.is_null() {
        return;
    }
    let retry = &delivery["retry"];
    let good = retry.is_null() || retry.as_i64().is_some_and(|times| times >= 0);
    report.require(good, "eventing/delivery", format!("{path}.retry"), format!("{retry} is no number of retries"));
    let policy = &delivery["backoffPolicy"];
    let good = policy.is_null() || matches!(text(policy), "linear" | "exponential");
    report.require(
        good,
        "eventing/delivery",
        format!("{path}.backoffPolicy"),
        format!("{policy} is neither linear nor exponential"),
    );
    for field in ["backoffDelay", "timeout"] {
        let good =
            delivery[field].is_null() || iso_seconds(text(&delivery[field])).is_some_and(|seconds| seconds > 0.0);
        report.require(
            good,
            "eventing/duration",
            format!("{path}.{field}"),
            format!("{} is no ISO 8601 duration", delivery[field]),
        );
    }
    if delivery.get("deadLetterSink").is_some() {
        destination(&delivery["deadLetterSink"], &format!("{path}.deadLetterSink"), report);
    }
}

fn ping(spec: &Value, report: &mut Report<'_>) {
    if let Some(error) = cron_error(text(&spec["schedule"])) {
        report.add("eventing/schedule", "spec.schedule", error);
    }
    destination(&spec["sink"], "spec.sink", report);
    let both = spec.get("data").is_some() && spec.get("dataBase64").is_some();
    report.require(!both, "eventing/data", "spec.data", "beside dataBase64");
    if text(&spec["contentType"]) == "application/json" && spec.get("data").is_some() {
        let object = serde_json::from_str::<Value>(text(&spec["data"])).is_ok_and(|data| data.is_object());
        report.require(object, "eventing/data", "spec.data", format!("{} is no JSON object", spec["data"]));
    }
}
