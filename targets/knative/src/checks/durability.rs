//! UW1001: a broker that may lose messages.

use super::Subject;
use crate::names::{IN_MEMORY, Names};
use crate::services::has_events;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UW1001",
    title: "a broker that keeps messages in memory",
    text: "\
Eventing's own broker class, `MTChannelBasedBroker`, is as durable as its channel, and the usual one is in memory: when its
pod goes, so do the messages that were accepted. Fine for trying things out; not for orders.

```toml
[target.knative]
broker = { class = \"MTChannelBasedBroker\" }
```

```toml
[target.knative]
broker = { class = \"Kafka\", config = { kind = \"ConfigMap\", api_version = \"v1\", name = \"kafka-broker-config\", namespace = \"knative-eventing\" } }
```

A `config` says which channel the class uses, and silences this warning: you chose.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let names = Names::new(subject.app, subject.settings);
    if has_events(subject.app) && names.class == IN_MEMORY && subject.settings.knative.broker.config.is_none() {
        sink.push(
            Diagnostic::warning("UW1001", "the broker may keep messages in memory alone, and lose them with its pod")
                .help("name a durable class, `broker = { class = \"Kafka\" }`, or the channel's `config`, under [target.knative]"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn no_class() {
        let mut plan = fixture::shop();
        plan.settings.knative.broker = Default::default();
        assert_eq!(codes(&plan), ["UW1001"]);
    }
}
