//! The binding, which lies in the zip beside the program: all that is known before there is a stack.

use std::collections::BTreeMap;
use updraft_model::{Kind, Plan};
use updraft_wire::binding::{Binding, Engine, FORMAT, Unit};
use updraft_wire::limits::HttpLimits;

/// Of a plan.
pub(crate) fn binding(plan: &Plan) -> Binding {
    let unit = |unit: &updraft_model::Unit| {
        (unit.id.clone(), Unit { handlers: unit.handlers.clone(), events_url: None, dead_letters: false })
    };
    let mut resources: BTreeMap<String, BTreeMap<String, Engine>> = BTreeMap::new();
    for ((kind, id), bound) in &plan.engines {
        let engine = match kind {
            Kind::Queue => Engine::Sqs {},
            Kind::Topic => Engine::Sns {},
            Kind::Store => Engine::DynamoDb {},
            Kind::Bucket => Engine::AwsS3 {},
            Kind::Secret => Engine::SecretsManager {},
            Kind::Config => Engine::Value {},
            // Where requests go is a matter of the place that the application asks from.
            Kind::External => bound.clone(),
            // The check has refused a database; the others are handlers.
            Kind::Database | Kind::Function | Kind::Shared => continue,
        };
        resources.entry(kind.as_str().to_owned()).or_default().insert(id.clone(), engine);
    }
    let used = |id: &String| plan.app.resource(Kind::Config, id).is_some();
    Binding {
        format: FORMAT,
        app: plan.app.name.clone(),
        graph: plan.graph.clone(),
        units: plan.units.iter().map(unit).collect(),
        resources,
        broker_url: None,
        dead_letter_url: None,
        dead_letters: None,
        once: plan.app.handlers.iter().any(crate::units::is_once).then_some(Engine::DynamoDb {}),
        http: (plan.settings.http != HttpLimits::DEFAULT).then_some(plan.settings.http),
        configs: plan
            .settings
            .configs
            .iter()
            .filter(|(id, _)| used(id))
            .map(|(id, value)| (id.clone(), value.clone()))
            .collect(),
    }
}
