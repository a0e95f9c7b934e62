//! Checks of the whole graph: one rule, one file, with its code, its page and its help.

mod call_cycle;
mod crate_not_named;
mod duplicate_names;
mod layers;
mod migrations;
mod names;
mod no_consumer;
mod no_handlers;
mod no_producer;
mod one_consumer;
mod route_conflict;
mod self_feeding;
mod settings_names;
mod shared_cycle;
mod timeouts;
mod topic_attributes;
mod unused_resource;

use crate::graph::Graph;
use crate::lower::Lowered;
use crate::migrations::Migrations;
use crate::settings;
use updraft_model::{App, Sink};
use updraft_syntax::codes::Page;

/// What rules look at.
pub(crate) struct Context<'a> {
    pub(crate) app: &'a App,
    pub(crate) lowered: &'a Lowered,
    pub(crate) graph: &'a Graph,
    pub(crate) settings: &'a settings::Read,
    pub(crate) migrations: &'a [Migrations],
    /// Whether an earlier stage found errors. Then something may be missing from the graph, and absence proves nothing.
    pub(crate) incomplete: bool,
}

/// A rule.
pub(crate) struct Rule {
    pub(crate) page: Page,
    check: fn(&Context<'_>, &mut Sink),
    /// Whether it concludes something from what is *not* there.
    needs_all: bool,
}

/// All rules, in the order they run.
pub(crate) const RULES: &[Rule] = &[
    duplicate_names::RULE,
    names::RULE,
    crate_not_named::RULE,
    no_handlers::RULE,
    one_consumer::RULE,
    route_conflict::RULE,
    layers::RULE,
    call_cycle::RULE,
    shared_cycle::RULE,
    timeouts::RULE,
    topic_attributes::RULE,
    settings_names::RULE,
    migrations::NONE,
    migrations::NAME,
    migrations::ORDER,
    migrations::CHANGED,
    self_feeding::RULE,
    no_producer::RULE,
    no_consumer::RULE,
    unused_resource::RULE,
];

/// Runs every rule.
pub(crate) fn run(context: &Context<'_>, sink: &mut Sink) {
    // The first is the one about duplicate names: of two things of one name, only one is in the graph.
    let mut incomplete = context.incomplete;
    for (at, rule) in RULES.iter().enumerate() {
        incomplete |= at == 1 && sink.has_errors();
        if !(rule.needs_all && incomplete) {
            (rule.check)(context, sink);
        }
    }
}
