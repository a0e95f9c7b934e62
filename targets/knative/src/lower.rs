//! A plan becomes documents: the conductor.

use crate::names::Names;
use crate::resources::{
    accounts, binding, broker, dead_letters, domain_mapping, namespace, policies, schedules, service, telemetry,
    triggers,
};
use crate::services::{Service, has_events, services};
use updraft_kubernetes::{Document, yaml};
use updraft_model::{Plan, Unit};

/// What every lowering reads.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) names: Names,
    pub(crate) services: Vec<Service<'a>>,
    /// Whether there is a broker.
    pub(crate) events: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let names = Names::new(&plan.app, &plan.settings);
        let units: &'a [Unit] = &plan.units;
        let services = services(&plan.app, units, &names);
        Context { plan, services, names, events: has_events(&plan.app) }
    }

    /// The Service that answers for a handler.
    pub(crate) fn service_of(&self, handler: &str) -> Option<&Service<'a>> {
        self.services.iter().find(|service| service.handlers.iter().any(|held| held.id == handler))
    }
}

/// One file of the output.
pub(crate) struct File {
    /// `50-web.yaml`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) documents: Vec<Document>,
    /// Handlers, resources or units it comes from.
    pub(crate) origins: Vec<String>,
}

/// Everything that is emitted, in the order in which a cluster needs it: Serving's webhook refuses a Service whose account
/// does not exist, a Trigger waits for its Broker and its subscriber, and a source must not fire before there is a Trigger.
pub(crate) fn lower(plan: &Plan) -> Result<Vec<File>, yaml::Error> {
    let context = Context::new(plan);
    let binding = binding::lower(&context)?;
    let mut files = vec![
        file("00-namespace.yaml", namespace::lower(&context)?),
        file("10-accounts.yaml", accounts::lower(&context)?),
        file("20-binding.yaml", vec![binding.document]),
        file("30-policies.yaml", policies::lower(&context)?),
        file("40-broker.yaml", broker::lower(&context)?),
    ];
    for held in &context.services {
        let path = format!("50-{}.yaml", held.name);
        let origins = held.handlers.iter().map(|handler| handler.id.clone()).collect();
        files.push(File { path, documents: vec![service::lower(&context, held, &binding.config_map)?], origins });
    }
    files.extend([
        file("60-triggers.yaml", triggers::lower(&context)?),
        file("70-schedules.yaml", schedules::lower(&context, &binding.config_map)?),
        file("75-dead-letters.yaml", dead_letters::lower(&context, &binding.config_map)?),
        file("80-domain.yaml", domain_mapping::lower(&context)?),
        file("90-monitor.yaml", telemetry::monitor(&context)?),
    ]);
    files.retain(|file| !file.documents.is_empty());
    Ok(files)
}

fn file(path: &str, documents: Vec<Document>) -> File {
    File { path: path.to_owned(), documents, origins: Vec::new() }
}
