//! Which features of `updraft` functions need: a program carries no engine that it doesn't use.

use super::feature;
use std::collections::{BTreeMap, BTreeSet};
use updraft_aws_lambda::keeps_messages;
use updraft_driver::Checked;
use updraft_model::Kind;
use updraft_wire::binding::Binding;

/// Those of an application's functions.
pub(super) fn engines(checked: &Checked, binding: &Binding) -> BTreeSet<&'static str> {
    let Checked { app, units, settings, .. } = checked;
    let keeps = keeps_messages(app, units, settings);
    // Functions are units of their own, unless they are placed beside their callers.
    let calls = binding.units.values().any(|unit| {
        let serves = |id: &str| unit.handlers.contains(id);
        let mut mine = app.handlers.iter().filter(|it| serves(&it.id) || it.trigger.is_everywhere());
        mine.any(|handler| handler.grants.iter().any(|to| to.kind == Kind::Function && !serves(&to.resource)))
    });
    let bound = binding.resources.values().flat_map(BTreeMap::values).chain(&binding.once);
    let telemetry = settings.telemetry.iter().filter_map(|telemetry| telemetry.endpoint.as_deref());
    let tls = telemetry.filter(|endpoint| endpoint.starts_with("https://")).map(|_| "client");
    let needed = [Some("lambda"), keeps.then_some("sqs"), calls.then_some("invoke")];
    needed.into_iter().flatten().chain(bound.filter_map(feature)).chain(tls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::build::fixture::compiled;
    use updraft_wire::aws::BINDING_FILE;

    /// What is turned on for a program.
    fn of(source: &str) -> Vec<&'static str> {
        let (checked, artifacts) = compiled(source, "");
        let binding = serde_json::from_slice(&artifacts.get(BINDING_FILE).unwrap().bytes).unwrap();
        engines(&checked, &binding).into_iter().collect()
    }

    const SALES: &str = "#[topic(message = String)] pub struct Sales;
        #[database] pub struct Books;
        #[http(post, \"/sales\")] async fn sell(books: Database<Books>, sales: Topic<Sales>) -> Result<()> { todo!() }";

    #[test]
    fn whoever_takes_messages_has_queues() {
        assert_eq!(of("#[http(get, \"/up\")] async fn up() -> Result<()> { todo!() }"), ["lambda"]);
        let topic = "#[topic(message = String)] pub struct Sales;
            #[http(get, \"/up\")] async fn up(sales: Topic<Sales>) -> Result<()> { todo!() }";
        assert_eq!(of(topic), ["lambda", "sns"]);
        let taken = "#[subscriber(Sales)] async fn sold(sale: String) -> Result<()> { todo!() }";
        assert_eq!(of(&format!("{topic}\n{taken}")), ["lambda", "sns", "sqs"]);
    }

    /// What an outbox can't send, and nobody would have got, is kept in a queue.
    #[test]
    fn whoever_may_have_what_nobody_takes_has_queues() {
        assert_eq!(of(SALES), ["lambda", "postgres", "secrets-manager", "sns", "sqs"]);
    }
}
