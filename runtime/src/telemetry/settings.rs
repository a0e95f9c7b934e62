//! The `OTEL_*` variables, as the specification defines them. What can't be followed is said in the log and left out: no
//! mistake in them keeps an application from running.

use super::resource::percent_decoded;
use super::tracer::Sampler;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use std::time::Duration;

/// What the variables say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where traces are posted; nowhere, and then there are none.
    pub(super) traces_url: Option<Uri>,
    pub(super) traces_headers: HeaderMap,
    /// Where metrics are posted.
    pub(super) metrics_url: Option<Uri>,
    pub(super) metrics_headers: HeaderMap,
    /// Where Prometheus may read them, beside the internal face: a port of their own.
    pub(crate) prometheus: Option<(String, u16)>,
    pub(super) sampler: Sampler,
    /// Spans that wait at most.
    pub(super) queue: usize,
    /// Spans in one request at most.
    pub(super) batch: usize,
    /// How long a span waits for company.
    pub(super) delay: Duration,
    /// What an export may take in all, with its repetitions.
    pub(super) patience: Duration,
    /// What one request may take.
    pub(super) timeout: Duration,
    /// How often metrics are sent.
    pub(super) metrics_interval: Duration,
    /// What can't be followed, and why.
    pub(crate) problems: Vec<String>,
}

/// Variables that this runtime reads, for the documentation and its test.
pub const VARIABLES: &[(&str, &str)] = &[
    ("OTEL_SDK_DISABLED", "`true`: no traces, no exported metrics"),
    ("OTEL_SERVICE_NAME", "the service's name; `<app>-<unit>`, or the app's on a laptop"),
    ("OTEL_RESOURCE_ATTRIBUTES", "more attributes of the resource, `name=value,…`"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "the collector, `http://host:4318`; nothing is exported without one"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "the whole URL for traces"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "the whole URL for metrics"),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "headers of each request, `name=value,…`; also `…_TRACES_HEADERS`, `…_METRICS_HEADERS`",
    ),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "`http/protobuf`, the only one"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "what a request may take, in milliseconds; 10000"),
    ("OTEL_TRACES_EXPORTER", "`otlp` or `none`"),
    ("OTEL_METRICS_EXPORTER", "`otlp`, `prometheus` (a port of its own), both with a comma, or `none`"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "where that port is opened; `localhost`"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "that port; 9464"),
    (
        "OTEL_TRACES_SAMPLER",
        "`always_on`, `always_off`, `traceidratio`, or one of them after `parentbased_`; `parentbased_always_on`",
    ),
    ("OTEL_TRACES_SAMPLER_ARG", "the ratio, 0 to 1; 1"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "spans that wait at most; 2048"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "spans in one request at most; 512"),
    ("OTEL_BSP_SCHEDULE_DELAY", "how long a span waits for company, in milliseconds; 5000"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "what an export may take with its repetitions, in milliseconds; 30000"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "how often metrics are sent, in milliseconds; 60000"),
];

struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Settings {
    /// Reads them; `None` if they switch everything off.
    pub(crate) fn read(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let mut reader = Reader { variable, problems: Vec::new() };
        if reader.text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let traces = reader.exporters("OTEL_TRACES_EXPORTER", &["otlp"]);
        let metrics = reader.exporters("OTEL_METRICS_EXPORTER", &["otlp", "prometheus"]);
        let prometheus = metrics.contains(&"prometheus").then(|| {
            let host = reader.text("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|| "localhost".to_owned());
            let port = reader.number("OTEL_EXPORTER_PROMETHEUS_PORT", 9464);
            (host, u16::try_from(port).unwrap_or(9464))
        });
        let millis = |reader: &mut Reader<'_>, name, otherwise| Duration::from_millis(reader.number(name, otherwise));
        let queue = reader.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048).clamp(1, 1 << 20) as usize;
        let batch = reader.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512).clamp(1, queue as u64) as usize;
        let mut settings = Settings {
            traces_url: traces.contains(&"otlp").then(|| reader.url("TRACES", "v1/traces")).flatten(),
            traces_headers: reader.headers("TRACES"),
            metrics_url: metrics.contains(&"otlp").then(|| reader.url("METRICS", "v1/metrics")).flatten(),
            metrics_headers: reader.headers("METRICS"),
            prometheus,
            sampler: reader.sampler(),
            queue,
            batch,
            delay: millis(&mut reader, "OTEL_BSP_SCHEDULE_DELAY", 5_000),
            patience: millis(&mut reader, "OTEL_BSP_EXPORT_TIMEOUT", 30_000),
            timeout: millis(&mut reader, "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
            metrics_interval: millis(&mut reader, "OTEL_METRIC_EXPORT_INTERVAL", 60_000).max(Duration::from_millis(10)),
            problems: Vec::new(),
        };
        if let Some(protocol) = reader.text("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|name| name != "http/protobuf") {
            reader.problem(format!("OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`; only `http/protobuf` is spoken"));
            (settings.traces_url, settings.metrics_url) = (None, None);
        }
        settings.problems = reader.problems;
        Some(settings)
    }

    /// Whether anything goes to a collector.
    pub(super) fn exports(&self) -> bool {
        self.traces_url.is_some() || self.metrics_url.is_some()
    }
}

impl Reader<'_> {
    /// An empty variable counts as one that is not set.
    fn text(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Traces and metrics share some variables: a mistake in one of those is one mistake.
    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn number(&mut self, name: &str, otherwise: u64) -> u64 {
        let Some(text) = self.text(name) else { return otherwise };
        text.parse().unwrap_or_else(|_| {
            self.problem(format!("{name} is `{text}`, which is no number: {otherwise} is used"));
            otherwise
        })
    }

    fn exporters(&mut self, name: &str, known: &[&'static str]) -> Vec<&'static str> {
        let text = self.text(name).unwrap_or_else(|| "otlp".to_owned());
        let mut chosen = Vec::new();
        for one in text.split(',').map(str::trim).filter(|one| !matches!(*one, "" | "none")) {
            match known.iter().find(|known| **known == one) {
                Some(known) => chosen.push(*known),
                None => self.problem(format!("{name} names `{one}`; it can be {} or none", known.join(", "))),
            }
        }
        chosen
    }

    fn url(&mut self, signal: &str, path: &str) -> Option<Uri> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        let (name, text, whole) = match (self.text(&own), self.text("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            (Some(whole), _) => (own.as_str(), whole.clone(), whole),
            (None, Some(base)) => {
                let whole = format!("{}/{path}", base.trim_end_matches('/'));
                ("OTEL_EXPORTER_OTLP_ENDPOINT", base, whole)
            }
            (None, None) => return None,
        };
        let url = whole.parse::<Uri>().ok().filter(|url| url.authority().is_some());
        match url.as_ref().and_then(Uri::scheme_str) {
            Some("http") => url,
            Some("https") if cfg!(feature = "client") => url,
            Some("https") => {
                let help = "this program was built without a TLS client: build it with `--features updraft/client`";
                self.problem(format!("{name} is `{text}`: {help}"));
                None
            }
            _ => {
                self.problem(format!("{name} is `{text}`, which is no `http://…` URL"));
                None
            }
        }
    }

    fn headers(&mut self, signal: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in ["OTEL_EXPORTER_OTLP_HEADERS".to_owned(), format!("OTEL_EXPORTER_OTLP_{signal}_HEADERS")] {
            let text = self.text(&name).unwrap_or_default();
            for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let key = HeaderName::try_from(key.trim());
                match (key, HeaderValue::try_from(percent_decoded(value.trim()))) {
                    (Ok(key), Ok(mut value)) => {
                        value.set_sensitive(true);
                        headers.insert(key, value);
                    }
                    // Values may be credentials: not a word of them.
                    _ => self.problem(format!("{name} holds what is no header: `name=value,name=value`")),
                }
            }
        }
        headers
    }

    fn sampler(&mut self) -> Sampler {
        let name = self.text("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
        let argument = self.text("OTEL_TRACES_SAMPLER_ARG");
        let (parent_based, choice) = match name.strip_prefix("parentbased_") {
            Some(choice) => (true, choice),
            None => (false, name.as_str()),
        };
        let ratio = match (choice, argument) {
            ("always_on", _) => Some(1.0),
            ("always_off", _) => Some(0.0),
            ("traceidratio", None) => Some(1.0),
            ("traceidratio", Some(text)) => match text.parse() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Some(ratio),
                _ => {
                    self.problem(format!("OTEL_TRACES_SAMPLER_ARG is `{text}`, which is no ratio: 1 is used"));
                    Some(1.0)
                }
            },
            _ => None,
        };
        ratio.map(|ratio| Sampler { parent_based, ratio }).unwrap_or_else(|| {
            self.problem(format!("OTEL_TRACES_SAMPLER is `{name}`, which is not known: parentbased_always_on is used"));
            Sampler::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Option<Settings> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::read(&find)
    }

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        let settings = read(&[]).unwrap();
        assert!(!settings.exports() && settings.prometheus.is_none() && settings.problems.is_empty());
        assert_eq!((settings.queue, settings.batch, settings.sampler), (2048, 512, Sampler::default()));
        assert!(read(&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]).is_none());
    }

    #[test]
    fn endpoints_headers_and_samplers() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://other/m"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, a=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=2"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ])
        .unwrap();
        assert_eq!(settings.traces_url.unwrap(), "http://collector:4318/base/v1/traces");
        assert_eq!(settings.metrics_url.unwrap(), "http://other/m");
        assert_eq!(
            (&settings.traces_headers["authorization"], &settings.traces_headers["a"]),
            (&"Bearer x".parse().unwrap(), &"1".parse().unwrap())
        );
        assert_eq!(settings.metrics_headers["a"], "2");
        assert_eq!(settings.sampler, Sampler { parent_based: true, ratio: 0.25 });
        assert_eq!(settings.prometheus, Some(("localhost".to_owned(), 9464)));
        assert!(!format!("{:?}", settings.traces_headers).contains("Bearer"), "credentials are not shown");
        assert_eq!(settings.problems, [""; 0]);
    }

    #[test]
    fn a_mistake_is_said_and_harms_nobody() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "no header"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ] {
            let settings = read(&[(name, value)]).unwrap();
            assert_eq!(settings.problems.len(), 1, "{name}={value}: {:?}", settings.problems);
            assert!(settings.problems[0].contains(name), "{:?}", settings.problems);
        }
    }
}
