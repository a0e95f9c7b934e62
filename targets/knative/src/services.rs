//! How units become Services: one per unit, or two where a unit has routes and events, and the one that keeps dead letters.

use crate::names::{DEAD_LETTER_UNIT, Names};
use std::collections::BTreeSet;
use updraft_model::{App, Handler, Kind, Trigger, Unit};

/// Which of a unit's handlers a Service answers for. The other face's paths are 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Face {
    /// Routes.
    Public,
    /// Events; reachable within the cluster alone.
    Internal,
}

impl Face {
    /// What `UPDRAFT_FACE` says.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Face::Public => "public",
            Face::Internal => "internal",
        }
    }

    /// The face that answers for a handler; `None` for a function and a shared value, which handlers reach within the process.
    pub(crate) fn of(handler: &Handler) -> Option<Face> {
        match handler.trigger {
            Trigger::Http { .. } | Trigger::Routes { .. } | Trigger::Layer { .. } => Some(Face::Public),
            Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. } => Some(Face::Internal),
            Trigger::Function { .. } | Trigger::Shared { .. } => None,
        }
    }
}

/// A Knative Service to be.
#[derive(Clone, Debug)]
pub(crate) struct Service<'a> {
    /// The object's name.
    pub(crate) name: String,
    /// The unit's id: what `UPDRAFT_UNIT` says.
    pub(crate) unit: &'a str,
    /// Which paths it has.
    pub(crate) face: Face,
    /// The handlers that it answers for, sorted; none for the dead-letter unit.
    pub(crate) handlers: Vec<&'a Handler>,
    /// All handlers that may run in its process: those, the functions they call and the shared values they take.
    pub(crate) runs: Vec<&'a Handler>,
}

impl Service<'_> {
    /// Whether this is the unit that keeps dead letters.
    pub(crate) fn keeps_dead_letters(&self) -> bool {
        self.handlers.is_empty()
    }

    /// The longest that one of its handlers may take, in seconds.
    pub(crate) fn longest(&self) -> u32 {
        self.handlers.iter().map(|handler| handler.timeout).max().unwrap_or_default()
    }

    /// Whether its handlers publish.
    pub(crate) fn publishes(&self) -> bool {
        self.runs
            .iter()
            .flat_map(|handler| &handler.grants)
            .any(|grant| matches!(grant.kind, Kind::Queue | Kind::Topic))
    }

    /// The databases whose outbox it hands on. Whoever reaches a database does, whether or not it publishes itself: so a
    /// message that was committed waits for no unit in particular, such as one that has been scaled to zero since.
    pub(crate) fn relays(&self) -> BTreeSet<&str> {
        let grants = self.runs.iter().flat_map(|handler| &handler.grants);
        grants.filter(|grant| grant.kind == Kind::Database).map(|grant| grant.resource.as_str()).collect()
    }

    /// Whether one of its handlers records what it is done with.
    pub(crate) fn remembers(&self) -> bool {
        self.takes_events() && self.handlers.iter().any(|handler| handler.is_once())
    }

    /// Whether it takes events (and so hands over what it gives up, and puts back what it can't read yet).
    pub(crate) fn takes_events(&self) -> bool {
        self.face == Face::Internal && !self.keeps_dead_letters()
    }
}

/// Whether anything is delivered by the broker.
pub(crate) fn has_events(app: &App) -> bool {
    app.handlers.iter().any(|handler| Face::of(handler) == Some(Face::Internal))
        || app
            .handlers
            .iter()
            .flat_map(|handler| &handler.grants)
            .any(|grant| matches!(grant.kind, Kind::Queue | Kind::Topic))
}

/// All Services, sorted by unit, public before internal; the dead-letter unit last.
pub(crate) fn services<'a>(app: &'a App, units: &'a [Unit], names: &Names) -> Vec<Service<'a>> {
    let mut services = Vec::new();
    for unit in units {
        let runs: Vec<&Handler> = unit.handlers.iter().filter_map(|id| app.handler(id)).collect();
        let faces: BTreeSet<Face> = runs.iter().copied().filter_map(Face::of).collect();
        for face in &faces {
            let handlers: Vec<&Handler> =
                runs.iter().copied().filter(|handler| Face::of(handler) == Some(*face)).collect();
            let suffix = if faces.len() > 1 && *face == Face::Internal { "-events" } else { "" };
            services.push(Service {
                name: names.object(&format!("{}{suffix}", unit.id)),
                unit: &unit.id,
                face: *face,
                runs: reach(app, &runs, &handlers),
                handlers,
            });
        }
    }
    if has_events(app) {
        services.push(Service {
            name: names.object(DEAD_LETTER_UNIT),
            unit: DEAD_LETTER_UNIT,
            face: Face::Internal,
            handlers: Vec::new(),
            runs: Vec::new(),
        });
    }
    services
}

/// `handlers`, and the functions and shared values of the unit that they reach, directly or through others.
fn reach<'a>(app: &'a App, unit: &[&'a Handler], handlers: &[&'a Handler]) -> Vec<&'a Handler> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&Handler> = handlers.to_vec();
    while let Some(handler) = left.pop() {
        if seen.insert(&handler.id) {
            let called = handler.grants.iter().filter(|grant| matches!(grant.kind, Kind::Function | Kind::Shared));
            left.extend(called.filter_map(|grant| app.handler(&grant.resource)));
        }
    }
    unit.iter().copied().filter(|handler| seen.contains(handler.id.as_str())).collect()
}
