//! The rules that only this target has, one per file with its page: on the application, its placement and its settings.

mod attributes;
mod bodies;
mod circles;
mod databases;
mod days;
mod fifo;
mod objects;
mod routes;
mod settings;
mod size;
mod timeouts;

use updraft_model::{App, Explain, Kind, Resource, Settings, Sink, Unit};

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

/// In the order of their codes. The last one lowers the application, and so wants all others to be content.
const RULES: &[fn(&Subject<'_>, &mut Sink)] = &[
    databases::check,
    fifo::check,
    timeouts::check,
    attributes::check,
    days::check,
    objects::check,
    circles::check,
    routes::check,
    bodies::check,
    settings::check,
];

/// The pages of all rules, in the order of their codes.
pub(crate) const EXPLAINS: &[Explain] = &[
    Explain {
        code: "UD2000",
        title: "the template could not be written",
        text: "A bug of the compiler: the application could not be made a template of. Please report it with the program's `graph --format json`.",
    },
    databases::EXPLAIN,
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
    size::EXPLAIN_ENVIRONMENT,
];

/// Runs all rules.
pub(crate) fn run(subject: &Subject<'_>, sink: &mut Sink) {
    let mut own = Sink::default();
    for rule in RULES {
        rule(subject, &mut own);
    }
    if !own.has_errors() {
        size::check(subject, &mut own);
    }
    sink.extend(own.into_sorted());
}

#[cfg(test)]
#[path = "../../tests/fixture/mod.rs"]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_model::{Diagnostic, Handler, Plan, Target};

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
