//! `[target.knative]`.

use super::Section;
use super::bindings::engine;
use std::collections::BTreeMap;
use updraft_model::settings::{Broker, BrokerConfig, Knative, Scale, Schedules};

pub(super) fn read(section: &Section<'_>) -> Knative {
    let broker = section.section("broker").map(|section| {
        let broker = Broker {
            name: section.text("name"),
            class: section.text("class"),
            config: section.section("config").zip(section.value("config")).and_then(|(inner, value)| {
                let [api_version, kind, name, namespace] =
                    ["api_version", "kind", "name", "namespace"].map(|key| inner.text(key));
                inner.finish();
                let Some(name) = name else { return section.wrong("config", value, "`{ name = \"…\" }`") };
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
        scale.insert("*".to_owned(), scale_of(&section));
        section.finish();
    }
    if let Some(units) = section.section("units") {
        for (unit, _, value) in units.others() {
            let Some(section) = units.inner(unit, value) else { continue };
            scale.insert(unit.to_owned(), scale_of(&section));
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

fn scale_of(section: &Section<'_>) -> Scale {
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

#[cfg(test)]
mod tests {
    use super::super::tests::settings_of;
    use super::*;

    #[test]
    fn a_broker_and_its_configuration() {
        let broker = |config: &str| {
            let (settings, found) = settings_of(&format!(
                "[target.knative]\nbroker = {{ name = \"events\", class = \"Kafka\", config = {{ {config} }} }}\n"
            ));
            (settings.knative.broker, found)
        };
        let config = BrokerConfig {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            name: "kafka".to_owned(),
            namespace: Some("eventing".to_owned()),
        };
        let expected =
            Broker { name: Some("events".to_owned()), class: Some("Kafka".to_owned()), config: Some(config) };
        assert_eq!(broker("name = \"kafka\", namespace = \"eventing\""), (expected, Vec::new()));
        let (_, found) = broker("kind = \"Secret\"");
        assert_eq!(found, ["UD0303 `target.knative.broker.config` is a table"]);
    }
}
