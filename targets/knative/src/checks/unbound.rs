//! UD1003: a resource that keeps data, or the dead letters, without an engine.

use super::Subject;
use crate::resources::policies::bound;
use crate::services::has_events;
use std::collections::BTreeSet;
use updraft_model::{Diagnostic, Explain, Kind, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD1003",
    title: "a resource that keeps data has no engine",
    text: "\
Stores, buckets and databases live on a laptop's disk while you write, but a cluster has no such place: say in `Updraft.toml` what
keeps them there. So must the dead letters, which every app with consumers, subscribers or schedules has, and the record of
what is done, if a handler is declared with `once`.

```rust
#[store(key = String, value = u32)]
pub struct Stock;        // and nothing of it in `Updraft.toml`
```

```toml
[bindings]
store  = { engine = \"redis\", url_secret = \"redis-url\" }
bucket = { engine = \"s3\", endpoint = \"https://s3.example.com\", bucket = \"shop\", region = \"eu-1\", credentials_secret = \"s3\" }
once   = { engine = \"redis\", url_secret = \"redis-url\" }
database = { engine = \"postgres\", url_secret = \"postgres-url\" }

[target.knative]
dead_letters = { engine = \"redis\", url_secret = \"redis-url\" }
```

The secrets are named, never written: `build` prints the lines that create them.
",
};

const REDIS: &str = "{ engine = \"redis\", url_secret = \"redis-url\" }";
const POSTGRES: &str = "{ engine = \"postgres\", url_secret = \"postgres-url\" }";
const S3: &str =
    "{ engine = \"s3\", endpoint = \"https://…\", bucket = \"…\", region = \"…\", credentials_secret = \"s3\" }";

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let mut kinds: BTreeSet<Kind> = BTreeSet::new();
    for (resource, user) in subject.used() {
        if !resource.kind.is_stateful() || bound(subject.settings, resource.kind, &resource.id).is_some() {
            continue;
        }
        let engine = match resource.kind {
            Kind::Bucket => S3,
            Kind::Database => POSTGRES,
            Kind::Store
            | Kind::Queue
            | Kind::Topic
            | Kind::Secret
            | Kind::Config
            | Kind::Function
            | Kind::External
            | Kind::Shared => REDIS,
        };
        let mut diagnostic =
            Diagnostic::error("UD1003", format!("{} {} has no engine on Knative", resource.kind, resource.id))
                .label(&resource.place, "keeps data")
                .label(&user.place, "is used here");
        if kinds.insert(resource.kind) {
            diagnostic = diagnostic.help(format!("add to Updraft.toml:\n\n[bindings]\n{} = {engine}", resource.kind));
        }
        sink.push(diagnostic);
    }
    if subject.settings.once.is_none()
        && let Some(handler) = subject.app.handlers.iter().find(|handler| handler.is_once())
    {
        sink.push(
            Diagnostic::error("UD1003", format!("what {} does once has no engine on Knative", handler.id))
                .label(&handler.place, "records what it is done with")
                .help(format!("add to Updraft.toml:\n\n[bindings]\nonce = {REDIS}")),
        );
    }
    if has_events(subject.app) && subject.settings.knative.dead_letters.is_none() {
        sink.push(
            Diagnostic::error("UD1003", "the dead letters have no engine on Knative")
                .help(format!("add to Updraft.toml:\n\n[target.knative]\ndead_letters = {REDIS}")),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, findings},
    };

    #[test]
    fn a_store_without_an_engine() {
        let mut plan = fixture::shop();
        plan.settings.bindings.remove("store");
        let found = findings(&plan);
        assert!(found.iter().all(|finding| finding.code == "UD1003"), "{found:?}");
        let help: Vec<_> = found.iter().filter_map(|finding| finding.help.as_deref()).collect();
        assert_eq!(
            help,
            ["add to Updraft.toml:\n\n[bindings]\nstore = { engine = \"redis\", url_secret = \"redis-url\" }"]
        );
    }

    #[test]
    fn effects_once_without_an_engine() {
        let mut plan = fixture::shop();
        let ship = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::ship").unwrap();
        ship.options.insert("once".into(), "604800".into());
        assert_eq!(codes(&plan), ["UD1003"]);
        plan.settings.once = Some(fixture::redis());
        assert_eq!(codes(&plan), Vec::<&str>::new());
        plan.settings.once = Some(fixture::s3());
        assert_eq!(codes(&plan), ["UD1004"]);
    }

    #[test]
    fn dead_letters_without_an_engine() {
        let mut plan = fixture::shop();
        plan.settings.knative.dead_letters = None;
        assert_eq!(codes(&plan), ["UD1003"]);
    }
}
