//! Every key that the file may hold.

use super::value::{Data, Report, Section, Table, Value};
use super::{Names, Read, codes};
use std::collections::BTreeMap;
use std::ops::Range;
use updraft_model::Kind;
use updraft_model::settings::{
    Architecture, AwsLambda, BoundEngine, Broker, BrokerConfig, DataStacks, Dev, Entry, Find, Granularity, Knative,
    KubernetesSecret, LambdaDatabase, LambdaFunction, Metrics, Network, Package, Placement, Prometheus, Rollout, Scale,
    Schedules, SecretKeeper, Telemetry, Throttle,
};
use updraft_wire::binding::Engine;
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
            read.settings.knative = knative(&section);
            section.finish();
        }
        if let Some(section) = targets.section("aws-lambda") {
            read.settings.aws_lambda = aws_lambda(&section);
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

fn knative(section: &Section<'_>) -> Knative {
    let broker = section.section("broker").map(|section| {
        let broker = Broker {
            name: section.text("name"),
            class: section.text("class"),
            config: section.section("config").and_then(|section| {
                let whole = (
                    section.text("api_version"),
                    section.text("kind"),
                    section.text("name"),
                    section.text("namespace"),
                );
                section.finish();
                let (api_version, kind, Some(name), namespace) = whole else { return None };
                Some(BrokerConfig {
                    api_version: api_version.unwrap_or_else(|| "v1".to_owned()),
                    kind: kind.unwrap_or_else(|| "ConfigMap".to_owned()),
                    name,
                    namespace,
                })
            }),
        };
        section.finish();
        broker
    });
    let mut scale = BTreeMap::new();
    if let Some(section) = section.section("scale") {
        scale.insert("*".to_owned(), read_scale(&section));
        section.finish();
    }
    if let Some(units) = section.section("units") {
        for (unit, _, value) in units.others() {
            let Some(section) = units.inner(unit, value) else { continue };
            scale.insert(unit.to_owned(), read_scale(&section));
            section.finish();
        }
    }
    Knative {
        namespace: section.text("namespace"),
        image: section.text("image"),
        name_prefix: section.text("name_prefix"),
        broker: broker.unwrap_or_default(),
        dead_letters: section.section("dead_letters").and_then(engine),
        domain: section.text("domain"),
        gateway: section.text("gateway"),
        schedules: section
            .choice("schedules", &[("ping", Schedules::Ping), ("cronjob", Schedules::CronJob)])
            .unwrap_or_default(),
        scale,
    }
}

fn read_scale(section: &Section<'_>) -> Scale {
    Scale {
        min: section.number("min"),
        max: section.number("max"),
        target: section.number("target"),
        concurrency: section.number("concurrency"),
        cpu: section.text("cpu"),
        cpu_limit: section.text("cpu_limit"),
        memory: section.text("memory"),
        memory_limit: section.text("memory_limit"),
    }
}

/// What CodeDeploy has for functions, without settings of one's own there.
const ROLLOUTS: [(&str, Rollout); 8] = [
    ("canary-10-5m", Rollout::Canary { minutes: 5 }),
    ("canary-10-10m", Rollout::Canary { minutes: 10 }),
    ("canary-10-15m", Rollout::Canary { minutes: 15 }),
    ("canary-10-30m", Rollout::Canary { minutes: 30 }),
    ("linear-10-1m", Rollout::Linear { minutes: 1 }),
    ("linear-10-2m", Rollout::Linear { minutes: 2 }),
    ("linear-10-3m", Rollout::Linear { minutes: 3 }),
    ("linear-10-10m", Rollout::Linear { minutes: 10 }),
];

const SECRETS: [(&str, SecretKeeper); 2] =
    [("secrets-manager", SecretKeeper::SecretsManager), ("parameter-store", SecretKeeper::ParameterStore)];

fn aws_lambda(section: &Section<'_>) -> AwsLambda {
    let mut functions = BTreeMap::new();
    if let Some(section) = section.section("functions") {
        functions.insert("*".to_owned(), lambda_function(&section));
        section.finish();
    }
    if let Some(units) = section.section("units") {
        for (unit, _, value) in units.others() {
            let Some(section) = units.inner(unit, value) else { continue };
            functions.insert(unit.to_owned(), lambda_function(&section));
            section.finish();
        }
    }
    let throttle = section.section("throttle").map(|section| {
        let throttle = Throttle { rate: section.number("rate"), burst: section.number("burst") };
        section.finish();
        throttle
    });
    let database = section.section("database").map(|section| {
        let texts = |key| {
            let value = section.value(key);
            value.map_or_else(Vec::new, |value| section.texts(key, value).into_iter().map(|(text, _)| text).collect())
        };
        let database = LambdaDatabase {
            connections: section.number("connections"),
            server_connections: section.number("server_connections"),
            subnets: texts("subnets"),
            security_groups: texts("security_groups"),
        };
        section.finish();
        database
    });
    AwsLambda {
        stack: section.text("stack"),
        code_bucket: section.text("code_bucket"),
        architecture: section
            .choice("architecture", &[("arm64", Architecture::Arm64), ("x86_64", Architecture::X86)])
            .unwrap_or_default(),
        package: section.choice("package", &[("zip", Package::Zip), ("image", Package::Image)]).unwrap_or_default(),
        repository: section.text("repository"),
        log_retention_days: section.number("log_retention_days"),
        http: section.choice("http", &[("api", Entry::Api), ("function-url", Entry::FunctionUrl)]).unwrap_or_default(),
        data: section.choice("data", &[("main", DataStacks::Main), ("module", DataStacks::Module)]).unwrap_or_default(),
        resources_per_stack: section.number("resources_per_stack"),
        throttle: throttle.unwrap_or_default(),
        permissions_boundary: section.text("permissions_boundary"),
        secrets: section.choice("secrets", &SECRETS).unwrap_or_default(),
        rollout: section.choice("rollout", &ROLLOUTS),
        functions,
        database: database.unwrap_or_default(),
    }
}

fn lambda_function(section: &Section<'_>) -> LambdaFunction {
    LambdaFunction {
        memory: section.number("memory"),
        concurrency: section.number("concurrency"),
        reserved: section.number("reserved"),
    }
}

/// `{ engine = "redis", url_secret = "redis-url", network = { … } }`.
fn engine(section: Section<'_>) -> Option<BoundEngine> {
    let report = section.report;
    let network = section.section("network").and_then(network);
    let name = section.text("engine");
    let place = section.value("engine").map(|value| value.range.clone());
    let (Some(name), Some(place)) = (name, place) else {
        let range = section.others().next().map_or(0..0, |(_, place, _)| place.clone());
        report.push(
            codes::ENGINE,
            range,
            "a binding names its engine".to_owned(),
            "of which engine?",
            "add `engine = \"redis\"`, or another engine".to_owned(),
        );
        return None;
    };
    let known: &[&'static str] = match name.as_str() {
        "broker" => &[],
        "redis" => &["url_secret", "prefix"],
        "s3" => &["endpoint", "bucket", "region", "credentials_secret", "prefix"],
        "postgres" => &["url_secret"],
        "hosts" => &["base_url"],
        _ => {
            let engines = ["broker", "redis", "s3", "postgres", "hosts"];
            let help = match updraft_syntax::names::closest(&name, engines) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the engines are {}", engines.join(", ")),
            };
            report.push(codes::ENGINE, place, format!("there is no engine `{name}`"), "unknown", help);
            return None;
        }
    };
    let mut object = serde_json::Map::from_iter([("engine".to_owned(), name.clone().into())]);
    for key in known {
        if let Some(text) = section.text(key) {
            object.insert((*key).to_owned(), text.into());
        }
    }
    let mut server_connections = None;
    if name == "postgres" {
        let count = |key| count(&section, key);
        object.extend(count("max_connections").map(|number| ("max_connections".to_owned(), number.into())));
        server_connections = count("server_connections");
    }
    section.finish();
    match serde_json::from_value::<Engine>(object.into()) {
        Ok(engine) => Some(BoundEngine { engine, network, server_connections }),
        Err(error) => {
            let help = format!("the keys of `{name}` are {}", known.join(", "));
            report.push(
                codes::ENGINE,
                place,
                format!("the engine `{name}` can't be used so: {error}"),
                "incomplete",
                help,
            );
            None
        }
    }
}

/// `{ namespace = "data", pods = { app = "redis" } }` or `{ cidr = "10.1.0.0/16" }`.
fn network(section: Section<'_>) -> Option<Network> {
    let (namespace, cidr, port) = (section.text("namespace"), section.text("cidr"), section.number("port"));
    let mut labels = BTreeMap::new();
    if let Some(pods) = section.section("pods") {
        for (name, _, value) in pods.others() {
            match &value.data {
                Data::Text(text) => {
                    labels.insert(name.to_owned(), text.clone());
                }
                _ => drop(pods.wrong::<()>(name, value, "a text")),
            }
        }
    }
    let report = section.report;
    let at = ["cidr", "namespace", "pods"]
        .into_iter()
        .find_map(|key| section.value(key))
        .map(|value: &Value| value.range.clone());
    section.finish();
    match (namespace, cidr) {
        (Some(namespace), None) => Some(Network::Pods { namespace, pods: labels, port }),
        (None, Some(cidr)) => Some(Network::Cidr { cidr, port }),
        _ => {
            report.push(
                codes::VALUE,
                at.unwrap_or_default(),
                "`network` says pods or addresses, one of the two".to_owned(),
                "not clear",
                "write `{ namespace = \"data\", pods = { app = \"redis\" } }` or `{ cidr = \"10.1.0.0/16\" }`"
                    .to_owned(),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value;
    use crate::source::File;
    use std::cell::RefCell;
    use updraft_model::Settings;

    fn settings_of(text: &str) -> (Settings, Vec<String>) {
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
    fn functions_on_lambda() {
        let (settings, found) = settings_of(
            r#"
            [target.aws-lambda]
            stack = "shop-eu"
            code_bucket = "zips"
            architecture = "x86_64"
            package = "image"
            repository = "team/shop"
            log_retention_days = 14
            http = "function-url"
            data = "module"
            resources_per_stack = 300
            throttle = { rate = 100, burst = 200 }
            rollout = "linear-10-3m"
            secrets = "parameter-store"
            permissions_boundary = "shop-boundary"
            functions = { memory = 256 }

            [target.aws-lambda.units.web]
            memory = 1024
            concurrency = 10
            reserved = 20

            [target.aws-lambda.database]
            connections = 2
            server_connections = 400
            subnets = ["subnet-1", "subnet-2"]
            security_groups = ["sg-1"]
            "#,
        );
        let function = |memory, concurrency, reserved| LambdaFunction { memory: Some(memory), concurrency, reserved };
        let lambda = AwsLambda {
            stack: Some("shop-eu".to_owned()),
            code_bucket: Some("zips".to_owned()),
            architecture: Architecture::X86,
            package: Package::Image,
            repository: Some("team/shop".to_owned()),
            log_retention_days: Some(14),
            http: Entry::FunctionUrl,
            data: DataStacks::Module,
            resources_per_stack: Some(300),
            throttle: Throttle { rate: Some(100), burst: Some(200) },
            permissions_boundary: Some("shop-boundary".to_owned()),
            secrets: SecretKeeper::ParameterStore,
            rollout: Some(Rollout::Linear { minutes: 3 }),
            functions: [
                ("*".to_owned(), function(256, None, None)),
                ("web".to_owned(), function(1024, Some(10), Some(20))),
            ]
            .into(),
            database: LambdaDatabase {
                connections: Some(2),
                server_connections: Some(400),
                subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
                security_groups: vec!["sg-1".to_owned()],
            },
        };
        assert_eq!((&settings.aws_lambda, found), (&lambda, Vec::new()));
        assert_eq!(lambda.function("web"), function(1024, Some(10), Some(20)));
        assert_eq!(lambda.function("mail"), function(256, None, None));
        let (_, found) = settings_of("[target.aws-lambda]\nrollout = \"canary-20-5m\"\n");
        assert_eq!(found, ["UD0303 `target.aws-lambda.rollout` can't be this"]);
        let (_, found) = settings_of("[target.aws-lambda]\npackage = \"jar\"\n");
        assert_eq!(found, ["UD0303 `target.aws-lambda.package` can't be this"]);
        let (_, found) = settings_of("[target.aws-lambda]\nhttp = \"alb\"\n");
        assert_eq!(found, ["UD0303 `target.aws-lambda.http` can't be this"]);
        let (_, found) = settings_of("[target.aws-lambda]\nfunctions = { memroy = 256 }\n");
        assert_eq!(found, ["UD0302 `[target.aws-lambda.functions]` has no key `memroy`"]);
    }

    #[test]
    fn connections_are_counted_from_one() {
        let line =
            |keys: &str| format!("[bindings]\ndatabase = {{ engine = \"postgres\", url_secret = \"url\"{keys} }}\n");
        let (settings, found) = settings_of(&line(", max_connections = 6, server_connections = 200"));
        let bound = &settings.bindings["database"];
        assert_eq!((bound.server_connections, found), (Some(200), Vec::new()));
        let expected = Engine::Postgres { url_secret: "url".to_owned(), max_connections: Some(6) };
        assert_eq!(bound.engine, expected);
        for key in ["max_connections", "server_connections"] {
            let (_, found) = settings_of(&line(&format!(", {key} = 0")));
            assert_eq!(found, [format!("UD0303 `bindings.database.{key}` is a number")]);
        }
        let redis = "[bindings]\nstore = { engine = \"redis\", url_secret = \"url\", server_connections = 9 }\n";
        assert_eq!(settings_of(redis).1, ["UD0302 `[bindings.store]` has no key `server_connections`"]);
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
