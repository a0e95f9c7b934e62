//! Who speaks: OpenTelemetry's resource, from `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` and what the runtime knows.

use super::protobuf::Message;
use std::collections::BTreeMap;

/// The attributes of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource(BTreeMap<String, String>);

impl Resource {
    /// Of the unit `unit` of `app`. What the variables say wins over what the runtime knows.
    pub(crate) fn new(app: &str, unit: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut all = BTreeMap::from([
            ("telemetry.sdk.name".to_owned(), "updraft".to_owned()),
            ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
            ("telemetry.sdk.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id".to_owned(), uuid::Uuid::now_v7().to_string()),
            ("service.namespace".to_owned(), app.to_owned()),
        ]);
        let name = unit.map_or_else(|| app.to_owned(), |unit| format!("{app}-{unit}"));
        all.insert("service.name".to_owned(), name);
        let host = variable("HOSTNAME").filter(|host| !host.is_empty());
        all.extend(host.map(|host| ("host.name".to_owned(), host)));
        for pair in variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default().split(',') {
            if let Some((name, value)) = pair.split_once('=') {
                all.insert(name.trim().to_owned(), percent_decoded(value.trim()));
            }
        }
        let named = variable("OTEL_SERVICE_NAME").filter(|name| !name.is_empty());
        all.extend(named.map(|name| ("service.name".to_owned(), name)));
        Resource(all)
    }

    pub(super) fn write(&self, resource: &mut Message) {
        for (name, value) in &self.0 {
            resource.message(1, |pair| super::otlp::text_attribute(pair, name, value));
        }
    }
}

/// `%2C` and the like, as W3C baggage and OTLP's header variables write what is no plain text.
pub(super) fn percent_decoded(text: &str) -> String {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_win() {
        let variable = |name: &str| match name {
            "OTEL_SERVICE_NAME" => Some("mine".to_owned()),
            "OTEL_RESOURCE_ATTRIBUTES" => {
                Some("service.name=other, deployment.environment.name=a%2Cb,broken".to_owned())
            }
            _ => None,
        };
        let Resource(all) = Resource::new("shop", Some("web"), &variable);
        assert_eq!((all["service.name"].as_str(), all["deployment.environment.name"].as_str()), ("mine", "a,b"));
        let Resource(all) = Resource::new("shop", Some("web"), &|_| None);
        assert_eq!((all["service.name"].as_str(), all["service.namespace"].as_str()), ("shop-web", "shop"));
    }
}
