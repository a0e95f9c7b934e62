//! UD1011: a broker's class that can't do without a configuration.

use super::Subject;
use crate::names::{Names, RABBITMQ};
use crate::services::has_events;
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1011",
    title: "a broker's class without its configuration",
    text: "\
A broker of the class `RabbitMQBroker` must name a `RabbitmqBrokerConfig`, which says which cluster keeps the messages: its
webhook refuses one without.

```toml
[target.knative]
broker = { class = \"RabbitMQBroker\" }
```

```toml
[target.knative]
broker = { class = \"RabbitMQBroker\", config = { api_version = \"eventing.knative.dev/v1alpha1\", kind = \"RabbitmqBrokerConfig\", name = \"default\" } }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let names = Names::new(subject.app, subject.settings);
    if has_events(subject.app) && names.class == RABBITMQ && subject.settings.knative.broker.config.is_none() {
        sink.push(Diagnostic::error("UD1011", "a broker of the class RabbitMQBroker needs a configuration").help(
            "name it under [target.knative]: broker = { class = \"RabbitMQBroker\", config = { api_version = \
             \"eventing.knative.dev/v1alpha1\", kind = \"RabbitmqBrokerConfig\", name = \"…\" } }",
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn rabbitmq_alone() {
        let mut plan = fixture::shop();
        plan.settings.knative.broker.class = Some("RabbitMQBroker".into());
        assert_eq!(codes(&plan), ["UD1011"]);
    }
}
