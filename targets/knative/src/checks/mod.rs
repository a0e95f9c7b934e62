//! The rules that only this target has, one per file with its page: on the application, its placement and its settings.

mod broker_config;
mod connections;
mod durability;
mod engines;
mod guarantees;
mod names;
mod overlap;
mod public_units;
mod remote_calls;
mod retries;
mod timeouts;
mod unbound;
mod units;

use updraft_model::{App, Explain, Handler, Resource, Settings, Sink, Unit};

/// What the rules read.
pub(crate) struct Subject<'a> {
    pub(crate) app: &'a App,
    pub(crate) units: &'a [Unit],
    pub(crate) settings: &'a Settings,
}

impl<'a> Subject<'a> {
    /// Every resource that a handler is granted, with the first handler that is.
    fn used(&self) -> Vec<(&'a Resource, &'a Handler)> {
        let mut used: Vec<(&Resource, &Handler)> = Vec::new();
        for handler in &self.app.handlers {
            for grant in &handler.grants {
                let Some(resource) = self.app.resource(grant.kind, &grant.resource) else { continue };
                if !used.iter().any(|(seen, _)| std::ptr::eq(*seen, resource)) {
                    used.push((resource, handler));
                }
            }
        }
        used.sort_by(|(a, _), (b, _)| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        used
    }

    fn handlers(&self, unit: &'a Unit) -> impl Iterator<Item = &'a Handler> {
        unit.handlers.iter().filter_map(|id| self.app.handler(id))
    }
}

/// In the order of their codes.
const RULES: &[fn(&Subject<'_>, &mut Sink)] = &[
    remote_calls::check,
    public_units::check,
    unbound::check,
    engines::check,
    names::check,
    timeouts::check,
    retries::check,
    guarantees::check,
    broker_config::check,
    units::check,
    durability::check,
    overlap::check,
    connections::check,
];

/// The pages of all rules, in the order of their codes.
pub(crate) const EXPLAINS: &[Explain] = &[
    Explain {
        code: "UD1000",
        title: "a manifest could not be written",
        text: "A bug of the compiler: a manifest's struct did not serialise. Please report it with the program's `graph --format json`.",
    },
    remote_calls::EXPLAIN,
    public_units::EXPLAIN,
    unbound::EXPLAIN,
    engines::EXPLAIN,
    names::EXPLAIN,
    names::EXPLAIN_COLLISION,
    timeouts::EXPLAIN,
    retries::EXPLAIN,
    // UD1009 is spent: UD0014 came to refuse, for all targets, what it did.
    guarantees::EXPLAIN,
    broker_config::EXPLAIN,
    units::EXPLAIN,
    durability::EXPLAIN,
    overlap::EXPLAIN,
    connections::EXPLAIN,
];

/// Runs all rules.
pub(crate) fn run(subject: &Subject<'_>, sink: &mut Sink) {
    for rule in RULES {
        rule(subject, sink);
    }
}

#[cfg(test)]
#[path = "../../tests/fixture/mod.rs"]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_model::{Diagnostic, Plan, Target};

    /// All that the target says of a plan.
    pub(crate) fn findings(plan: &Plan) -> Vec<Diagnostic> {
        let mut sink = Sink::default();
        crate::Knative.check(&plan.app, &plan.units, &plan.settings, &mut sink);
        sink.into_sorted()
    }

    /// The codes alone.
    pub(crate) fn codes(plan: &Plan) -> Vec<&'static str> {
        findings(plan).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn the_shop_is_clean() {
        assert_eq!(findings(&fixture::shop()), []);
    }

    #[test]
    fn codes_are_unique_and_every_page_says_something() {
        let mut codes: Vec<_> = EXPLAINS.iter().map(|explain| explain.code).collect();
        codes.dedup();
        assert_eq!(codes.len(), EXPLAINS.len());
        assert!(EXPLAINS.iter().all(|explain| explain.text.len() > 80 && !explain.title.is_empty()));
    }
}
