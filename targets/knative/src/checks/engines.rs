//! UD1004: an engine that can't implement what it is bound to.

use super::Subject;
use crate::capabilities::CAPABILITIES;
use crate::resources::policies::bound;
use updraft_model::{Diagnostic, Explain, Kind, Resource, Sink};
use updraft_wire::binding::Engine;

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1004",
    title: "an engine that can't implement this kind",
    text: "\
On Knative queues and topics are the broker's, stores are kept by Redis, buckets by an S3-compatible server, databases
by PostgreSQL.

```toml
[bindings]
store = { engine = \"s3\", bucket = \"shop\", region = \"eu-1\" }     # a store needs compare-and-swap on keys
```

```toml
[bindings]
store = { engine = \"redis\", url_secret = \"redis-url\" }
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for (resource, _) in subject.used() {
        let Some(bound) = bound(subject.settings, resource.kind, &resource.id) else { continue };
        let engine = name(&bound.engine);
        let able = able(resource.kind);
        if !able.contains(&engine) {
            sink.push(
                Diagnostic::error(
                    "UD1004",
                    format!("the engine {engine} can't implement {} {}", resource.kind, resource.id),
                )
                .label(&resource.place, format!("a {}", resource.kind))
                .help(format!("on Knative a {} is implemented by: {}", resource.kind, able.join(", "))),
            );
        }
    }
    // The unit that keeps dead letters lists them by handler and time: what a store does.
    if let Some(bound) = &subject.settings.knative.dead_letters
        && !able(Kind::Store).contains(&name(&bound.engine))
    {
        sink.push(
            Diagnostic::error("UD1004", format!("the engine {} can't keep dead letters", name(&bound.engine)))
                .help("dead letters are kept by an engine of stores: redis"),
        );
    }
    // So does the record of what is done, which is written conditionally.
    if let Some(bound) = &subject.settings.once
        && !able(Kind::Store).contains(&name(&bound.engine))
    {
        sink.push(
            Diagnostic::error("UD1004", format!("the engine {} can't record what is done once", name(&bound.engine)))
                .help("it is recorded by an engine of stores: redis"),
        );
    }
}

/// The engine that implements a resource: the one it is bound to, or its kind's own.
pub(super) fn engine_of(subject: &Subject<'_>, resource: &Resource) -> Option<&'static str> {
    let bound = bound(subject.settings, resource.kind, &resource.id);
    bound.map(|bound| name(&bound.engine)).or_else(|| able(resource.kind).first().copied())
}

fn able(kind: Kind) -> &'static [&'static str] {
    CAPABILITIES.engines.iter().find(|(held, _)| *held == kind).map_or(&[], |(_, engines)| *engines)
}

fn name(engine: &Engine) -> &'static str {
    match engine {
        Engine::Broker {} => "broker",
        Engine::Redis { .. } => "redis",
        Engine::Postgres { .. } => "postgres",
        Engine::S3 { .. } => "s3",
        Engine::File {} => "file",
        Engine::Value {} => "value",
        Engine::Hosts { .. } => "hosts",
        Engine::Sqs {} => "sqs",
        Engine::Sns {} => "sns",
        Engine::DynamoDb {} => "dynamodb",
        Engine::AwsS3 {} => "aws-s3",
        Engine::SecretsManager {} => "secrets-manager",
        Engine::ParameterStore {} => "parameter-store",
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{fixture, tests::codes};

    #[test]
    fn a_store_on_s3() {
        let mut plan = fixture::shop();
        let s3 = plan.settings.bindings["bucket"].clone();
        plan.settings.resource_bindings.insert("stock".into(), s3.clone());
        assert_eq!(codes(&plan), ["UD1004"]);
        plan.settings.resource_bindings.clear();
        plan.settings.knative.dead_letters = Some(s3);
        assert_eq!(codes(&plan), ["UD1004"]);
    }
}
