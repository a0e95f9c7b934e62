//! Every key that the file may hold.

mod aws_lambda;
mod bindings;
mod knative;

use super::value::{Data, Report, Section, Table};
use super::{Names, Read};
use bindings::{engine, network};
use std::collections::BTreeMap;
use std::ops::Range;
use updraft_model::Kind;
use updraft_model::settings::{Dev, Find, Granularity, KubernetesSecret, Metrics, Placement, Prometheus, Telemetry};
use updraft_wire::limits::{self, HttpLimits};

/// The kinds that `[bindings]` binds.
const BOUND: [(&str, Kind); 6] = [
    ("queue", Kind::Queue),
    ("topic", Kind::Topic),
    ("store", Kind::Store),
    ("bucket", Kind::Bucket),
    ("database", Kind::Database),
    ("external", Kind::External),
];

pub(super) fn read(table: &Table, report: &Report<'_>) -> Read {
    let mut read = Read::default();
    let mut names = Vec::new();
    let root = Section::new("", table, report);
    if let Some(app) = root.section("app") {
        read.settings.name = app.text("name");
        if let Some(value) = app.value("name")
            && let Some(name) = &read.settings.name
        {
            names.push((Names::App, name.clone(), value.range.clone()));
        }
        app.finish();
    }
    if let Some(section) = root.section("placement") {
        read.settings.placement = placement(&section, &mut names);
        section.finish();
    }
    if let Some(section) = root.section("bindings") {
        for (kind, _) in BOUND {
            let bound = section.section(kind).and_then(engine);
            read.settings.bindings.extend(bound.map(|engine| (kind.to_owned(), engine)));
        }
        read.settings.once = section.section("once").and_then(engine);
        if let Some(resources) = section.section("resource") {
            for (id, place, value) in resources.others() {
                names.push((Names::AnyResource, id.to_owned(), place.clone()));
                let bound = resources.inner(id, value).and_then(engine);
                read.settings.resource_bindings.extend(bound.map(|engine| (id.to_owned(), engine)));
            }
        }
        section.finish();
    }
    if let Some(section) = root.section("secrets") {
        for (id, place, value) in section.others() {
            names.push((Names::Resource(Kind::Secret), id.to_owned(), place.clone()));
            let Some(inner) = section.inner(id, value) else { continue };
            if let Some(kubernetes) = inner.section("kubernetes") {
                let name = kubernetes.text("name");
                let key = kubernetes.text("key");
                match (name, key) {
                    (Some(name), key) => {
                        let key = key.unwrap_or_else(|| "value".to_owned());
                        read.settings.secrets.insert(id.to_owned(), KubernetesSecret { name, key });
                    }
                    (None, _) => drop(inner.wrong::<()>("kubernetes", value, "`{ name = \"…\", key = \"…\" }`")),
                }
                kubernetes.finish();
            }
            inner.finish();
        }
    }
    if let Some(section) = root.section("config") {
        for (id, place, value) in section.others() {
            names.push((Names::Resource(Kind::Config), id.to_owned(), place.clone()));
            read.settings.configs.insert(id.to_owned(), value.data.json());
        }
    }
    if let Some(section) = root.section("telemetry") {
        read.settings.telemetry = Some(telemetry(&section));
        section.finish();
    }
    if let Some(section) = root.section("http") {
        read.settings.http = http(&section);
        section.finish();
    }
    if let Some(section) = root.section("dev") {
        read.settings.dev = dev(&section, &mut names);
        section.finish();
    }
    if let Some(targets) = root.section("target") {
        if let Some(section) = targets.section("knative") {
            read.settings.knative = knative::read(&section);
            section.finish();
        }
        if let Some(section) = targets.section("aws-lambda") {
            read.settings.aws_lambda = aws_lambda::read(&section);
            section.finish();
        }
        targets.finish();
    }
    let _ = root.value("env"); // known, and taken out before
    root.finish();
    read.places = names.into_iter().map(|(what, name, range)| (what, name, report.file.place(range))).collect();
    read
}

fn placement(section: &Section<'_>, names: &mut Vec<(Names, String, Range<usize>)>) -> Placement {
    let default = section.choice(
        "default",
        &[("app", Granularity::App), ("module", Granularity::Module), ("handler", Granularity::Handler)],
    );
    let mut groups = BTreeMap::new();
    if let Some(section) = section.section("groups") {
        for (unit, place, value) in section.others() {
            names.push((Names::Unit, unit.to_owned(), place.clone()));
            let members = section.texts(unit, value);
            names.extend(
                members.iter().map(|(member, range)| (Names::Member(unit.to_owned()), member.clone(), range.clone())),
            );
            groups.insert(unit.to_owned(), members.into_iter().map(|(member, _)| member).collect());
        }
    }
    Placement { default, groups }
}

fn telemetry(section: &Section<'_>) -> Telemetry {
    let endpoint = section.value("endpoint").and_then(|value| {
        let text = section.text("endpoint")?;
        let place = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let host = place.map(|place| place.split('/').next().unwrap_or_default());
        match host {
            Some(host) if !host.is_empty() && !text.contains(char::is_whitespace) => Some(text),
            _ => section.wrong("endpoint", value, "a URL, `\"http://otel-collector.observability:4318\"`"),
        }
    });
    let ratio = section.value("ratio").and_then(|value| {
        let ratio = match &value.data {
            Data::Float(ratio) => Some(*ratio),
            Data::Integer(ratio) => Some(*ratio as f64),
            _ => None,
        };
        let within = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
        within.or_else(|| section.wrong("ratio", value, "a share, 0 to 1"))
    });
    let prometheus = section.section("prometheus").and_then(|inner| {
        let find = inner.choice("find", &[("annotations", Find::Annotations), ("pod-monitor", Find::PodMonitor)]);
        let namespace = inner.text("namespace");
        inner.finish();
        match (namespace, section.value("prometheus")) {
            (Some(namespace), _) => Some(Prometheus { namespace, find: find.unwrap_or_default() }),
            (None, Some(value)) => {
                section.wrong("prometheus", value, "`{ namespace = \"monitoring\", find = \"annotations\" }`")
            }
            (None, None) => None,
        }
    });
    let network = section.section("network").and_then(network);
    let metrics = section.choice("metrics", &[("otlp", Metrics::Otlp), ("none", Metrics::None)]).unwrap_or_default();
    Telemetry { endpoint, network, ratio, metrics, prometheus }
}

/// `[http]`: what one process allows its clients.
fn http(section: &Section<'_>) -> HttpLimits {
    let text = |key: &'static str| section.text(key).zip(section.value(key));
    let size = |key| {
        let (text, value) = text(key)?;
        limits::size(&text).or_else(|| section.wrong(key, value, "a size, `\"512KiB\"`, `\"2MiB\"` or `\"1GiB\"`"))
    };
    let seconds = |key| {
        let (text, value) = text(key)?;
        limits::seconds(&text).or_else(|| section.wrong(key, value, "a duration, `\"30s\"` or `\"5m\"`"))
    };
    let count = |key| count(section, key);
    let HttpLimits { body, headers, head, pause, idle, connections, requests } = HttpLimits::DEFAULT;
    let given_headers = size("headers").and_then(|size| match u32::try_from(size) {
        Ok(size) if (limits::LEAST_HEADERS..=limits::MOST_HEADERS).contains(&size) => Some(size),
        _ => section.wrong("headers", section.value("headers")?, "a size from `\"8KiB\"` to `\"1MiB\"`"),
    });
    HttpLimits {
        body: size("body").unwrap_or(body),
        headers: given_headers.unwrap_or(headers),
        head: seconds("head").unwrap_or(head),
        pause: seconds("pause").unwrap_or(pause),
        idle: seconds("idle").unwrap_or(idle),
        connections: count("connections").unwrap_or(connections),
        requests: count("requests").unwrap_or(requests),
    }
}

/// A number of which there is one at least.
fn count(section: &Section<'_>, key: &'static str) -> Option<u32> {
    let count = section.number::<u32>(key)?;
    let none = section.value(key).filter(|_| count == 0);
    none.map_or(Some(count), |value| section.wrong(key, value, "a number from 1 on"))
}

fn dev(section: &Section<'_>, names: &mut Vec<(Names, String, Range<usize>)>) -> Dev {
    let mut dev = Dev::default();
    if let Some(secrets) = section.section("secrets") {
        for (id, place, value) in secrets.others() {
            names.push((Names::Resource(Kind::Secret), id.to_owned(), place.clone()));
            match &value.data {
                Data::Text(text) => {
                    dev.secrets.insert(id.to_owned(), text.clone());
                }
                _ => drop(secrets.wrong::<()>(id, value, "a text")),
            }
        }
    }
    if let Some(databases) = section.section("databases") {
        for (id, place, value) in databases.others() {
            names.push((Names::Resource(Kind::Database), id.to_owned(), place.clone()));
            match &value.data {
                Data::Text(text) => {
                    dev.databases.insert(id.to_owned(), text.clone());
                }
                _ => drop(databases.wrong::<()>(id, value, "a text")),
            }
        }
    }
    if let Some(value) = section.value("stand_ins") {
        for (id, range) in section.texts("stand_ins", value) {
            names.push((Names::Resource(Kind::External), id.clone(), range));
            dev.stand_ins.push(id);
        }
    }
    dev
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value;
    use crate::source::File;
    use std::cell::RefCell;
    use updraft_model::Settings;
    use updraft_model::settings::Network;

    pub(super) fn settings_of(text: &str) -> (Settings, Vec<String>) {
        let file = File::new("Updraft.toml".to_owned(), text.to_owned());
        let report = Report { file: &file, found: RefCell::default() };
        let (table, errors) = value::parse(text);
        assert!(errors.is_empty(), "{errors:?}");
        let settings = read(&table, &report).settings;
        let found = report.found.into_inner();
        (settings, found.iter().map(|found| format!("{} {}", found.code, found.message)).collect())
    }

    fn telemetry_of(text: &str) -> (Option<Telemetry>, Vec<String>) {
        let (settings, found) = settings_of(text);
        (settings.telemetry, found)
    }

    #[test]
    fn telemetry_is_read_whole() {
        let (telemetry, found) = telemetry_of(
            r#"
            [telemetry]
            endpoint = "http://otel-collector.observability:4318"
            network = { namespace = "observability", pods = { app = "otel-collector" } }
            ratio = 0.1
            metrics = "none"
            prometheus = { namespace = "monitoring", find = "pod-monitor" }
            "#,
        );
        let pods = [("app".to_owned(), "otel-collector".to_owned())].into();
        let expected = Telemetry {
            endpoint: Some("http://otel-collector.observability:4318".to_owned()),
            network: Some(Network::Pods { namespace: "observability".to_owned(), pods, port: None }),
            ratio: Some(0.1),
            metrics: Metrics::None,
            prometheus: Some(Prometheus { namespace: "monitoring".to_owned(), find: Find::PodMonitor }),
        };
        assert_eq!((telemetry, found), (Some(expected), Vec::new()));
    }

    #[test]
    fn what_telemetry_does_not_know_is_refused() {
        for (line, expected) in [
            ("endpiont = \"http://c:4318\"", "UD0302 `[telemetry]` has no key `endpiont`"),
            ("endpoint = \"c:4318\"", "UD0303 `telemetry.endpoint` can't be this"),
            ("ratio = 2", "UD0303 `telemetry.ratio` is a number"),
            ("metrics = \"statsd\"", "UD0303 `telemetry.metrics` can't be this"),
            ("prometheus = { find = \"annotations\" }", "UD0303 `telemetry.prometheus` is a table"),
        ] {
            let (_, found) = telemetry_of(&format!("[telemetry]\n{line}\n"));
            assert_eq!(found, [expected], "{line}");
        }
    }

    #[test]
    fn http_is_read_whole_and_each_mistake_said() {
        let (settings, found) = settings_of(
            r#"
            [http]
            body = "1GiB"
            headers = "16KiB"
            head = "5s"
            pause = "1m"
            idle = "2h"
            connections = 100
            requests = 50
            "#,
        );
        let expected = HttpLimits {
            body: 1 << 30,
            headers: 16 << 10,
            head: 5,
            pause: 60,
            idle: 7_200,
            connections: 100,
            requests: 50,
        };
        assert_eq!((settings.http, found), (expected, Vec::new()));
        for (line, key) in [
            ("body = \"2MB\"", "body"),
            ("headers = \"4KiB\"", "headers"),
            ("headers = \"2MiB\"", "headers"),
            ("head = \"0s\"", "head"),
            ("idle = 5", "idle"),
            ("requests = 0", "requests"),
            ("connections = -1", "connections"),
        ] {
            let (settings, found) = settings_of(&format!("[http]\n{line}\n"));
            assert_eq!(settings.http, HttpLimits::DEFAULT, "{line}");
            let [found] = &found[..] else { panic!("{line}: {found:?}") };
            assert!(found.starts_with("UD0303 ") && found.contains(&format!("`http.{key}`")), "{line}: {found}");
        }
        assert_eq!(settings_of("[http]\nbodies = 1\n").1, ["UD0302 `[http]` has no key `bodies`"]);
    }
}
