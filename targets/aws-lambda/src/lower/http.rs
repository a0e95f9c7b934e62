//! The API: one for all units with routes.

use super::{Made, Source};
use crate::names::{Ending, alone, logical};
use crate::resources::api::{Api, Integration, Route, Stage, keys, router_keys};
use crate::resources::lambda::Permission;
use crate::resources::logs::LogGroup;
use crate::template::{Broken, Made as Resource, Template};
use crate::units::{Function, describe};
use std::collections::BTreeSet;
use updraft_model::{App, Handler, Trigger};

pub(super) fn api(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    let public: Vec<&Function<'_>> = source.functions.iter().filter(|function| function.is_public()).collect();
    if public.is_empty() {
        return Ok(());
    }
    let settings = &source.settings.aws_lambda;
    let from = ["http".to_owned()];
    let api = template.add(alone(Ending::Api), Resource::new(Api::new(&source.app.name), from.clone()))?;
    let logs = LogGroup::new(settings.log_retention_days);
    let logs = template.add(alone(Ending::AccessLog), Resource::new(logs, from.clone()))?;
    template.add(alone(Ending::Stage), Resource::new(Stage::new(&api, &logs, settings.throttle), from))?;
    for function in public {
        let Some(alias) = made.aliases.get(function.unit) else { continue };
        let unit = [format!("unit {}", function.unit)];
        let integration = Resource::new(Integration::new(&api, alias), unit.clone());
        let integration = template.add(logical(function.unit, Ending::Integration), integration)?;
        let permission = Permission::new(alias, "apigateway.amazonaws.com", api.requests());
        template.add(logical(function.unit, Ending::Permission), Resource::new(permission, unit))?;
        for handler in &function.runs {
            for (ending, key) in routes(source.app, handler) {
                let route = Resource::new(Route::new(&api, key, &integration), [describe(handler)]);
                template.add(logical(&handler.id, ending), route)?;
            }
        }
    }
    template.output("ApiUrl".to_owned(), format!("Where {} is", source.app.name), api.url());
    Ok(())
}

/// A handler's routes. Who asks for a head alone is answered by the handler of the whole, unless there is one for heads.
pub(crate) fn routes(app: &App, handler: &Handler) -> Vec<(Ending, String)> {
    match &handler.trigger {
        Trigger::Http { method, path } => {
            let heads: BTreeSet<&str> = app.handlers.iter().filter_map(of_heads).collect();
            let (key, head) = keys(method, path);
            let head = head.filter(|_| !heads.contains(path.as_str()));
            std::iter::once((Ending::Route, key)).chain(head.map(|head| (Ending::HeadRoute, head))).collect()
        }
        Trigger::Routes { prefix } => {
            let (key, below) = router_keys(prefix);
            std::iter::once((Ending::Route, key)).chain(below.map(|below| (Ending::BelowRoute, below))).collect()
        }
        Trigger::Consumer { .. }
        | Trigger::Subscriber { .. }
        | Trigger::Schedule { .. }
        | Trigger::Object { .. }
        | Trigger::Function { .. }
        | Trigger::Layer { .. }
        | Trigger::Shared { .. } => Vec::new(),
    }
}

fn of_heads(handler: &Handler) -> Option<&str> {
    match &handler.trigger {
        Trigger::Http { method, path } if method == "head" => Some(path),
        _ => None,
    }
}
