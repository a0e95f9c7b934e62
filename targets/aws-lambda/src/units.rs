//! How units become functions: one each, with what its handlers reach and which others it calls.

use std::collections::{BTreeMap, BTreeSet};
use updraft_model::{App, Grant, Handler, Kind, Settings, Trigger, Unit};
use updraft_wire::defaults::DATABASE_FUNCTION_CONNECTIONS;

/// A function to be.
#[derive(Clone, Debug)]
pub(crate) struct Function<'a> {
    /// The unit's id.
    pub(crate) unit: &'a str,
    /// All handlers that run in its process, sorted by id.
    pub(crate) runs: Vec<&'a Handler>,
}

impl<'a> Function<'a> {
    /// Of a unit.
    pub(crate) fn new(app: &'a App, unit: &'a Unit) -> Self {
        Function { unit: &unit.id, runs: unit.handlers.iter().filter_map(|id| app.handler(id)).collect() }
    }

    /// Those that AWS invokes it for.
    pub(crate) fn invoked(&self) -> impl Iterator<Item = &'a Handler> {
        self.runs.iter().copied().filter(|handler| match handler.trigger {
            Trigger::Http { .. }
            | Trigger::Routes { .. }
            | Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. }
            | Trigger::Function { .. } => true,
            Trigger::Layer { .. } | Trigger::Shared { .. } => false,
        })
    }

    /// Whether it has routes.
    pub(crate) fn is_public(&self) -> bool {
        self.runs.iter().any(|handler| handler.trigger.route().is_some())
    }

    /// The longest that one of its handlers may take, in seconds.
    pub(crate) fn longest(&self) -> u32 {
        self.invoked().map(|handler| handler.timeout).max().unwrap_or_default()
    }

    /// Whether its messages may lie in a database's outbox. What a handler sends by may come from a layer or a shared value, so
    /// that its own grants alone don't tell.
    pub(crate) fn commits(&self, database: &str) -> bool {
        let mut grants = self.runs.iter().flat_map(|handler| &handler.grants);
        let writes =
            |grant: &Grant| grant.kind == Kind::Database && grant.resource == database && grant.access.writes();
        grants.any(writes) && self.sends().next().is_some()
    }

    /// Its grants on queues and topics.
    pub(crate) fn sends(&self) -> impl Iterator<Item = &'a Grant> {
        let grants = self.runs.iter().copied().flat_map(|handler| &handler.grants);
        grants.filter(|grant| matches!(grant.kind, Kind::Queue | Kind::Topic))
    }

    /// Whether it reaches a database.
    pub(crate) fn has_database(&self) -> bool {
        self.runs.iter().any(|handler| databases(handler).next().is_some())
    }

    /// Whether it is put into a network, in which a database is.
    pub(crate) fn is_in_network(&self, settings: &Settings) -> bool {
        self.has_database() && !settings.aws_lambda.database.subnets.is_empty()
    }

    /// Whether one of its handlers records what it is done with.
    pub(crate) fn remembers(&self) -> bool {
        self.runs.iter().any(|handler| handler.is_once())
    }

    /// The functions that its handlers call and that are not in it.
    pub(crate) fn calls(&self) -> BTreeSet<&'a str> {
        let grants = self.runs.iter().flat_map(|handler| &handler.grants);
        let called = grants.filter(|grant| grant.kind == Kind::Function).map(|grant| grant.resource.as_str());
        called.filter(|id| !self.runs.iter().any(|handler| handler.id == *id)).collect()
    }
}

/// Whether a handler takes what is sent to a queue or topic.
pub(crate) fn takes(handler: &Handler, sent: &Grant) -> bool {
    handler.trigger.source() == Some((sent.kind, &sent.resource))
}

/// Connections that one environment of a function has to a database at most, with one access.
pub(crate) fn connections(settings: &Settings) -> u32 {
    settings.aws_lambda.database.connections.unwrap_or(DATABASE_FUNCTION_CONNECTIONS).max(1)
}

/// The databases that a handler reaches.
pub(crate) fn databases(handler: &Handler) -> impl Iterator<Item = &str> {
    let grants = handler.grants.iter().filter(|grant| grant.kind == Kind::Database);
    grants.map(|grant| grant.resource.as_str())
}

/// All functions, each after those that it calls; else sorted. Those that call each other in a circle have no such order:
/// they are the error.
pub(crate) fn functions<'a>(app: &'a App, units: &'a [Unit]) -> Result<Vec<Function<'a>>, Vec<&'a str>> {
    let all: Vec<Function<'a>> = units.iter().map(|unit| Function::new(app, unit)).collect();
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        all.iter().map(|function| (function.unit, callees(&all, function))).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let Some(next) = left.iter().find(|(_, callees)| callees.iter().all(|callee| !left.contains_key(callee)))
        else {
            return Err(circle(left));
        };
        let next = *next.0;
        left.remove(next);
        order.extend(all.iter().find(|function| function.unit == next).cloned());
    }
    Ok(order)
}

/// Of units that are left over, those that stand in a circle, and not those that only call into one.
fn circle<'a>(mut left: BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    loop {
        let called: BTreeSet<&str> = left.values().flatten().copied().collect();
        let before = left.len();
        left.retain(|unit, _| called.contains(unit));
        if left.len() == before {
            return left.into_keys().collect();
        }
    }
}

/// The units that a function calls.
fn callees<'a>(all: &[Function<'a>], function: &Function<'a>) -> BTreeSet<&'a str> {
    function.calls().into_iter().filter_map(|id| serving(all, id)).map(|function| function.unit).collect()
}

/// The function that answers for a handler. One that is in several units is called in the process by all that need it.
pub(crate) fn serving<'f, 'a>(all: &'f [Function<'a>], handler: &str) -> Option<&'f Function<'a>> {
    all.iter().find(|function| function.runs.iter().any(|held| held.id == handler))
}

/// `consumer shop::orders::ship`: how a template speaks of a handler. Without its place: another line is no other resource.
pub(crate) fn describe(handler: &Handler) -> String {
    format!("{} {}", handler.trigger.kind(), handler.id)
}
