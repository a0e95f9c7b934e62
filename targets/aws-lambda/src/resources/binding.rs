//! The binding, which lies in the zip beside the program: all that is known before there is a stack.

use crate::units::Function;
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::settings::{Entry, SecretKeeper};
use updraft_model::{App, Handler, Kind, Plan};
use updraft_wire::aws::Known;
use updraft_wire::binding::{Binding, Engine, FORMAT, Unit};
use updraft_wire::limits::HttpLimits;

/// Of a plan.
pub(crate) fn binding(plan: &Plan) -> Binding {
    let by_url = plan.settings.aws_lambda.http == Entry::FunctionUrl;
    let unit = |unit: &updraft_model::Unit| {
        let streams = by_url && Function::new(&plan.app, unit).is_public();
        (unit.id.clone(), Unit { handlers: unit.handlers.clone(), streams, ..Unit::default() })
    };
    let mut resources: BTreeMap<String, BTreeMap<String, Engine>> = BTreeMap::new();
    let keeper = match plan.settings.aws_lambda.secrets {
        SecretKeeper::SecretsManager => Engine::SecretsManager {},
        SecretKeeper::ParameterStore => Engine::ParameterStore {},
    };
    // All that is used: that a cluster's bindings name an engine for it is another matter.
    for (kind, id) in used(&plan.app) {
        let bound = plan.engines.get(&(kind, id.to_owned()));
        let engine = match kind {
            Kind::Queue => Engine::Sqs {},
            Kind::Topic => Engine::Sns {},
            Kind::Store => Engine::DynamoDb {},
            Kind::Bucket => Engine::AwsS3 {},
            Kind::Secret => keeper.clone(),
            Kind::Config => Engine::Value {},
            // Where requests go is a matter of the place that the application asks from.
            Kind::External => bound.cloned().unwrap_or(Engine::Hosts { base_url: None }),
            Kind::Database => Engine::Postgres {
                url_secret: Known::Database.key(id),
                max_connections: plan.settings.aws_lambda.database.connections,
            },
            // Handlers.
            Kind::Function | Kind::Shared => continue,
        };
        if let Engine::Postgres { url_secret, .. } = &engine {
            let secrets = resources.entry(Kind::Secret.as_str().to_owned()).or_default();
            secrets.insert(url_secret.clone(), keeper.clone());
        }
        resources.entry(kind.as_str().to_owned()).or_default().insert(id.to_owned(), engine);
    }
    let configured = |id: &String| plan.app.resource(Kind::Config, id).is_some();
    Binding {
        format: FORMAT,
        app: plan.app.name.clone(),
        graph: plan.graph.clone(),
        units: plan.units.iter().map(unit).collect(),
        resources,
        broker_url: None,
        dead_letter_url: None,
        dead_letters: None,
        once: plan.app.handlers.iter().any(Handler::is_once).then_some(Engine::DynamoDb {}),
        http: (plan.settings.http != HttpLimits::DEFAULT).then_some(plan.settings.http),
        configs: plan
            .settings
            .configs
            .iter()
            .filter(|(id, _)| configured(id))
            .map(|(id, value)| (id.clone(), value.clone()))
            .collect(),
    }
}

/// What handlers reach, or are run by.
fn used(app: &App) -> BTreeSet<(Kind, &str)> {
    let granted = app.handlers.iter().flat_map(|handler| &handler.grants);
    let granted = granted.map(|grant| (grant.kind, grant.resource.as_str()));
    granted.chain(app.handlers.iter().filter_map(|handler| handler.trigger.source())).collect()
}
