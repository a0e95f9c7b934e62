//! What a binding says of an engine, and where that is in the network.

use super::{Section, count};
use crate::settings::codes;
use crate::settings::value::{Data, Value};
use std::collections::BTreeMap;
use updraft_model::settings::{BoundEngine, Network};
use updraft_wire::binding::Engine;

/// `{ engine = "redis", url_secret = "redis-url", network = { … } }`.
pub(super) fn engine(section: Section<'_>) -> Option<BoundEngine> {
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
pub(super) fn network(section: Section<'_>) -> Option<Network> {
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
    use super::super::tests::settings_of;
    use super::*;

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
}
