//! What a unit's function may do, and what it is told: both from the graph's edges, so that it can find what it may use, and
//! nothing else.

use super::{Made, Source};
use crate::intrinsics::Text;
use crate::resources::iam::{Statement, statements};
use crate::resources::logs::LogGroup;
use crate::resources::secrets::Kept;
use crate::template::Id;
use crate::units::{Function, databases, serving, takes};
use std::collections::BTreeSet;
use updraft_model::{Grant, Handler, Kind};
use updraft_wire::aws::actions::{LOGS, NETWORK, TRACES};
use updraft_wire::aws::{Known, Use, actions};

/// An edge of the deployed application.
type Edge<'a> = (Known, &'a str, Use);

/// All edges of a function, sorted.
fn edges<'a>(source: &Source<'a>, function: &Function<'a>) -> BTreeSet<Edge<'a>> {
    let mut edges = BTreeSet::new();
    let remote = function.calls();
    for handler in &function.runs {
        for grant in &handler.grants {
            let known = match grant.kind {
                Kind::Queue => Known::Queue,
                Kind::Topic => Known::Topic,
                Kind::Store => Known::Store,
                Kind::Bucket => Known::Bucket,
                Kind::Secret => Known::Secret,
                Kind::Database => Known::Database,
                Kind::Function if remote.contains(grant.resource.as_str()) => Known::Function,
                // In the binding, outside of AWS, or in the process.
                Kind::Function | Kind::Config | Kind::External | Kind::Shared => continue,
            };
            edges.extend(uses(source, known, grant).into_iter().map(|used| (known, grant.resource.as_str(), used)));
        }
        let committed = databases(handler).filter(|database| function.commits(database));
        edges.extend(committed.flat_map(|database| handed_on(source, database)));
        if handler.takes_messages() {
            edges.insert((Known::DeadLetters, handler.id.as_str(), Use::Write));
            edges.insert((Known::Consumes, handler.id.as_str(), Use::Consume));
        }
    }
    if function.remembers() {
        edges.extend([Use::Read, Use::Write].map(|used| (Known::Once, source.app.name.as_str(), used)));
    }
    edges
}

/// What it takes to hand on whatever lies in a database's outbox, whoever put it there: to send it, or to keep it as a dead
/// letter of those that would have got it.
fn handed_on<'a>(source: &Source<'a>, database: &str) -> Vec<Edge<'a>> {
    let sent = source.functions.iter().filter(|function| function.commits(database)).flat_map(Function::sends);
    let edges = sent.flat_map(|grant| {
        let known = if grant.kind == Kind::Queue { Known::Queue } else { Known::Topic };
        let taken = source.app.handlers.iter().filter(|handler| takes(handler, grant));
        let letters = taken.map(|handler| (Known::DeadLetters, handler.id.as_str(), Use::Write));
        letters.chain([(known, grant.resource.as_str(), Use::Write)])
    });
    let unsent = has_unsent(source, database).then_some((Known::Unsent, source.app.name.as_str(), Use::Write));
    edges.chain(unsent).collect()
}

/// Whether a database's outbox may hold what no handler would get, and nobody has dead letters for.
pub(super) fn has_unsent(source: &Source<'_>, database: &str) -> bool {
    let mut sent = source.functions.iter().filter(|function| function.commits(database)).flat_map(Function::sends);
    let takes_all = |handler: &Handler, grant| takes(handler, grant) && !handler.trigger.filters();
    sent.any(|grant| !source.app.handlers.iter().any(|handler| takes_all(handler, grant)))
}

/// What a grant is used for.
fn uses(source: &Source<'_>, known: Known, grant: &Grant) -> Vec<Use> {
    match known {
        // Whoever holds one sends: there is nothing else to do with it.
        Known::Queue | Known::Topic | Known::Unsent => vec![Use::Write],
        Known::Function => vec![Use::Call],
        Known::Secret | Known::Database => vec![Use::Read],
        Known::Store | Known::Bucket | Known::DeadLetters | Known::Consumes | Known::Once => {
            let store = (known == Known::Store).then(|| source.app.resource(Kind::Store, &grant.resource)).flatten();
            let partitioned = store.is_some_and(|store| store.options.contains_key("partition"));
            let (reads, writes) = (grant.access.reads(), grant.access.writes());
            [(reads, Use::Read), (reads && partitioned, Use::Order), (writes, Use::Write)]
                .into_iter()
                .filter_map(|(has, used)| has.then_some(used))
                .collect()
        }
    }
}

/// What a function's role allows.
pub(super) fn role(
    source: &Source<'_>,
    function: &Function<'_>,
    made: &Made<'_>,
    logs: &Id<LogGroup>,
) -> Vec<Statement> {
    let names = LOGS.iter().map(|action| action.name).collect();
    let mut all = vec![Statement::allow("Logs".to_owned(), names, vec![logs.arn()])];
    let traces = TRACES.iter().map(|action| action.name).collect();
    all.push(Statement::allow("Traces".to_owned(), traces, vec!["*".into()]));
    if function.is_in_network(source.settings) {
        let names: Vec<&str> = NETWORK.iter().map(|action| action.name).collect();
        all.push(Statement::allow("Network".to_owned(), names.clone(), vec!["*".into()]));
        all.push(Statement::not_by_code("NetworkByLambdaAlone", names));
    }
    for (known, id, used) in edges(source, function) {
        let Some((logical, arn)) = arn(source, made, known, id) else { continue };
        let actions = match kept(made, known, id) {
            Some(kept) => kept.read(),
            None => actions(if known == Known::Consumes { Known::Queue } else { known }, used),
        };
        all.extend(statements(&format!("{logical}{used:?}"), actions, &arn));
    }
    all
}

/// Where a secret's value is.
fn kept<'m>(made: &'m Made<'_>, known: Known, id: &str) -> Option<&'m Kept> {
    match known {
        Known::Secret => made.secrets.get(id),
        Known::Database => made.databases.get(id),
        Known::Queue
        | Known::Topic
        | Known::Store
        | Known::Bucket
        | Known::Function
        | Known::DeadLetters
        | Known::Consumes
        | Known::Once
        | Known::Unsent => None,
    }
}

/// A resource's logical id and ARN.
fn arn(source: &Source<'_>, made: &Made<'_>, known: Known, id: &str) -> Option<(String, Text)> {
    fn both<P>(id: &Id<P>, arn: Text) -> (String, Text) {
        (id.logical().to_owned(), arn)
    }
    match known {
        Known::Queue => made.queues.get(id).map(|queue| both(queue, queue.arn())),
        Known::Topic => made.topics.get(id).map(|topic| both(topic, topic.arn())),
        Known::Store => made.tables.get(id).map(|table| both(table, table.arn())),
        Known::Bucket => made.buckets.get(id).map(|bucket| both(bucket, bucket.arn())),
        Known::Secret | Known::Database => kept(made, known, id).map(|kept| (kept.logical().to_owned(), kept.arn())),
        Known::Function => {
            let alias = serving(&source.functions, id).and_then(|function| made.aliases.get(function.unit));
            alias.map(|alias| both(alias, alias.arn()))
        }
        Known::DeadLetters => made.inboxes.get(id).map(|inbox| both(&inbox.dead_letters, inbox.dead_letters.arn())),
        Known::Consumes => made.inboxes.get(id).map(|inbox| both(&inbox.queue, inbox.queue.arn())),
        Known::Once => made.once.as_ref().map(|table| both(table, table.arn())),
        Known::Unsent => made.unsent.as_ref().map(|queue| both(queue, queue.arn())),
    }
}

/// What a function is told: a JSON object, as [`updraft_wire::aws::Resources`] reads it.
pub(super) fn told(source: &Source<'_>, function: &Function<'_>, made: &Made<'_>) -> Text {
    let found: BTreeSet<(Known, &str)> =
        edges(source, function).into_iter().map(|(known, id, _)| (known, id)).collect();
    let mut entries: Vec<Text> = Vec::new();
    for (known, id) in found {
        let value = match known {
            Known::Queue => made.queues.get(id).map(|found| found.url()),
            Known::Topic => made.topics.get(id).map(|found| found.arn()),
            Known::Store => made.tables.get(id).map(|found| found.name()),
            Known::Bucket => made.buckets.get(id).map(|found| found.name()),
            Known::Secret | Known::Database => kept(made, known, id).map(Kept::address),
            Known::Function => arn(source, made, known, id).map(|(_, arn)| arn),
            Known::DeadLetters => made.inboxes.get(id).map(|inbox| inbox.dead_letters.url()),
            Known::Once => made.once.as_ref().map(|found| found.name()),
            Known::Unsent => made.unsent.as_ref().map(|found| found.url()),
            Known::Consumes => {
                // The other way about: a function is told a queue's ARN, and must know whose messages it has.
                let key = made.inboxes.get(id).map(|inbox| inbox.queue.arn());
                let entry = |arn| Text::of([quoted_start(&known.key("")), arn, "\":".into(), quoted(id)]);
                entries.extend(key.map(entry));
                continue;
            }
        };
        entries.extend(value.map(|value| Text::of([quoted(&known.key(id)), ":\"".into(), value, "\"".into()])));
    }
    let mut parts: Vec<Text> = vec!["{".into()];
    for (at, entry) in entries.into_iter().enumerate() {
        parts.extend((at > 0).then(|| ",".into()));
        parts.push(entry);
    }
    parts.push("}".into());
    Text::of(parts)
}

/// A text as JSON. (URLs, ARNs and names that AWS gives hold nothing that JSON escapes.)
fn quoted(text: &str) -> Text {
    Text::plain(serde_json::Value::from(text).to_string())
}

/// The same, left open at its end.
fn quoted_start(text: &str) -> Text {
    let quoted = serde_json::Value::from(text).to_string();
    Text::plain(quoted.strip_suffix('"').unwrap_or(&quoted))
}
