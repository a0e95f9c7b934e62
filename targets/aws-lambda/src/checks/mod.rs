//! The rules that only this target has, one per file with its page: on the application, its placement and its settings.
//!
//! Limits of AWS's that are not here can't be reached by a program, or can't be seen in one. A stack is full long before an
//! API has 300 integrations; CloudFormation makes names of roles, functions, queues and schedules itself; a queue's policy is
//! one statement; parts are cut so that none has a template's 200 parameters. How large a message, an entry or a secret is, only its engine sees.

mod attributes;
mod bodies;
mod circles;
mod databases;
mod days;
mod fifo;
mod filters;
mod objects;
mod outputs;
mod policies;
mod routes;
mod settings;
mod size;
mod timeouts;
mod told;
mod urls;

use crate::lower::{Source, lower};
use crate::split::split;
use updraft_model::{App, Explain, Handler, Kind, Resource, Settings, Sink, Unit};

/// What the rules read.
pub(crate) struct Subject<'a> {
    pub(crate) app: &'a App,
    pub(crate) units: &'a [Unit],
    pub(crate) settings: &'a Settings,
}

impl<'a> Subject<'a> {
    fn resources(&self, kind: Kind) -> impl Iterator<Item = &'a Resource> {
        self.app.resources.iter().filter(move |resource| resource.kind == kind)
    }
}

/// The handlers of a unit.
fn of_unit<'a>(subject: &Subject<'a>, unit: &str) -> impl Iterator<Item = &'a Handler> {
    let unit = subject.units.iter().find(|held| held.id == unit);
    unit.into_iter().flat_map(|unit| &unit.handlers).filter_map(|id| subject.app.handler(id))
}

/// In the order of their codes. Those that look at what is lowered come after them, and want all others to be content.
const RULES: &[fn(&Subject<'_>, &mut Sink)] = &[
    fifo::check,
    timeouts::check,
    attributes::check,
    days::check,
    objects::check,
    circles::check,
    routes::check,
    bodies::check,
    settings::check,
    filters::check,
    told::check,
    urls::check,
    databases::check,
];

/// The pages of all rules, in the order of their codes.
pub(crate) const EXPLAINS: &[Explain] = &[
    Explain {
        code: "UD2000",
        title: "the template could not be written",
        text: "A bug of the compiler: the application could not be made a template of. Please report it with the program's `graph --format json`.",
    },
    fifo::EXPLAIN,
    timeouts::EXPLAIN,
    attributes::EXPLAIN,
    days::EXPLAIN,
    objects::EXPLAIN,
    circles::EXPLAIN,
    routes::EXPLAIN,
    bodies::EXPLAIN,
    settings::EXPLAIN,
    size::EXPLAIN,
    size::EXPLAIN_MANY,
    databases::EXPLAIN,
    size::EXPLAIN_ENVIRONMENT,
    policies::EXPLAIN,
    outputs::EXPLAIN,
    filters::EXPLAIN,
    told::EXPLAIN,
    urls::EXPLAIN,
];

/// Runs all rules.
pub(crate) fn run(subject: &Subject<'_>, sink: &mut Sink) {
    let mut own = Sink::default();
    for rule in RULES {
        rule(subject, &mut own);
    }
    if !own.has_errors() {
        lowered(subject, &mut own);
    }
    sink.extend(own.into_sorted());
}

/// The rules on what the application becomes.
fn lowered(subject: &Subject<'_>, sink: &mut Sink) {
    let Some(source) = Source::new(subject.app, subject.units, subject.settings, String::new()) else { return };
    let Ok(lowered) = lower(&source) else { return };
    let Ok(template) = serde_json::to_value(&lowered.template) else { return };
    policies::check(subject, &template, sink);
    outputs::check(subject, &template, sink);
    let Ok(stacks) = split(lowered.template, &source) else { return };
    size::check(subject, &lowered.environments, &stacks, sink);
}

#[cfg(test)]
#[path = "../../tests/fixture/mod.rs"]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_model::{Access, Diagnostic, Grant, Handler, Plan, Target};

    /// All that the target says of a plan.
    pub(crate) fn findings(plan: &Plan) -> Vec<Diagnostic> {
        let mut sink = Sink::default();
        crate::AwsLambda.check(&plan.app, &plan.units, &plan.settings, &mut sink);
        sink.into_sorted()
    }

    /// The codes alone.
    pub(crate) fn codes(plan: &Plan) -> Vec<&'static str> {
        findings(plan).into_iter().map(|finding| finding.code).collect()
    }

    /// A handler of the plan's, to be changed.
    pub(crate) fn handler<'a>(plan: &'a mut Plan, id: &str) -> &'a mut Handler {
        plan.app.handlers.iter_mut().find(|handler| handler.id == id).unwrap()
    }

    /// A resource of the plan's, to be changed.
    pub(crate) fn resource<'a>(plan: &'a mut Plan, id: &str) -> &'a mut Resource {
        plan.app.resources.iter_mut().find(|resource| resource.id == id).unwrap()
    }

    /// Lets a handler reach so many more resources like one that is there.
    pub(crate) fn reaching(plan: &mut Plan, id: &str, (kind, like): (Kind, &str), access: Access, many: usize) {
        let before = plan.app.resources.len();
        for at in before..before + many {
            let mut resource = plan.app.resource(kind, like).unwrap().clone();
            resource.id = format!("{like}-number-{at:03}");
            handler(plan, id).grants.insert(Grant { kind, resource: resource.id.clone(), access });
            plan.app.resources.push(resource);
        }
    }

    #[test]
    fn the_shop_is_clean() {
        assert_eq!(findings(&fixture::shop()), []);
    }

    #[test]
    fn codes_are_unique_and_every_page_says_something() {
        let mut codes: Vec<_> = EXPLAINS.iter().map(|explain| explain.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), EXPLAINS.len());
        assert!(EXPLAINS.iter().all(|explain| explain.text.len() > 80 && !explain.title.is_empty()));
    }
}
