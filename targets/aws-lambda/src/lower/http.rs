//! What requests come through: one API for all units with routes, or the URL of the one that has all.

use super::{Made, Source};
use crate::names::{self, Ending, alone, logical};
use crate::resources::api::{Api, Integration, Route, Stage, UNMATCHED, keys, router_keys};
use crate::resources::lambda::{Permission, Url};
use crate::resources::logs::LogGroup;
use crate::template::{Broken, Made as Resource, Template};
use crate::units::{Function, describe};
use updraft_model::settings::Entry;
use updraft_model::{App, Handler, Trigger};

/// The output that says where the application is, whatever it is there by.
const OUTPUT: &str = "ApiUrl";

pub(super) fn entry(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    let public: Vec<&Function<'_>> = source.functions.iter().filter(|function| function.is_public()).collect();
    match (source.settings.aws_lambda.http, &public[..]) {
        (_, []) => Ok(()),
        (Entry::Api, all) => api(source, all, template, made),
        // The check has refused more than one.
        (Entry::FunctionUrl, [function, ..]) => url(source, function.unit, template, made),
    }
}

fn url(source: &Source<'_>, unit: &str, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    let (Some(function), Some(alias)) = (made.functions.get(unit), made.aliases.get(unit)) else { return Ok(()) };
    let from = || [format!("unit {unit}")];
    let url = Resource::new(Url::new(function), from()).after(alias).of_unit(unit);
    let url = template.add(logical(unit, Ending::Url), url)?;
    for (ending, permission) in
        [(Ending::UrlPermission, Permission::by_url(alias)), (Ending::UrlInvocation, Permission::through_url(alias))]
    {
        template.add(logical(unit, ending), Resource::new(permission, from()).of_unit(unit))?;
    }
    template.output(OUTPUT.to_owned(), format!("Where {} is", source.app.name), url.url());
    Ok(())
}

fn api(source: &Source<'_>, public: &[&Function<'_>], template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    let settings = &source.settings.aws_lambda;
    let from = ["http".to_owned()];
    let api = template.add(alone(Ending::Api), Resource::new(Api::new(&source.app.name), from.clone()))?;
    let logs = LogGroup::new(settings.log_retention_days);
    let logs = template.add(alone(Ending::AccessLog), Resource::new(logs, from.clone()))?;
    template.add(alone(Ending::Stage), Resource::new(Stage::new(&api, &logs, settings.throttle), from))?;
    let first = public.iter().map(|function| function.unit).min().filter(|_| !is_all_taken(source.app));
    for function in public {
        let Some(alias) = made.aliases.get(function.unit) else { continue };
        let unit = [format!("unit {}", function.unit)];
        let integration = Resource::new(Integration::new(&api, alias), unit.clone());
        let integration = template.add(logical(function.unit, Ending::Integration), integration)?;
        let permission = Permission::new(alias, "apigateway.amazonaws.com", api.requests());
        let permission = Resource::new(permission, unit).of_unit(function.unit);
        template.add(logical(function.unit, Ending::Permission), permission)?;
        for handler in &function.runs {
            for key in routes(source.app, handler) {
                let name = names::route(&key);
                let route = Resource::new(Route::new(&api, key, &integration), [describe(handler)]);
                template.add(name, route)?;
            }
        }
        if first == Some(function.unit) {
            let route = Route::new(&api, UNMATCHED.to_owned(), &integration);
            template.add(names::route(UNMATCHED), Resource::new(route, ["http".to_owned()]))?;
        }
    }
    template.output(OUTPUT.to_owned(), format!("Where {} is", source.app.name), api.url());
    Ok(())
}

/// The keys of a handler's routes. Who asks for a head alone is answered by the handler of the whole, unless there is one for heads; who
/// asks for a path's options, by the layers round it: it is they that know which other origins may ask.
pub(crate) fn routes(app: &App, handler: &Handler) -> Vec<String> {
    match &handler.trigger {
        Trigger::Http { method, path } => {
            let (key, head) = keys(method, path);
            let head = head.filter(|_| !has(app, "head", path));
            let options = answers_options(app, handler, path).then(|| keys("options", path).0);
            std::iter::once(key).chain(head).chain(options).collect()
        }
        Trigger::Routes { prefix } => {
            let (key, below) = router_keys(prefix);
            std::iter::once(key).chain(below).collect()
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

/// Whether some router takes all that no other handler does. What is left otherwise any unit with routes can answer: each knows
/// the others' paths, and so what is no path, or no method of one.
pub(crate) fn is_all_taken(app: &App) -> bool {
    app.handlers.iter().flat_map(|handler| routes(app, handler)).any(|key| key == UNMATCHED)
}

/// Whether requests for a path's options go where this handler is: the first of the path's, if a layer stands round it and no
/// handler is for options.
fn answers_options(app: &App, handler: &Handler, path: &str) -> bool {
    let layered = app.handlers.iter().any(|other| match &other.trigger {
        Trigger::Layer { path, .. } => handler.trigger.is_layered(path),
        _ => false,
    });
    let first = app.handlers.iter().find(|other| of(other, path).is_some());
    layered && !has(app, "options", path) && first.is_some_and(|first| first.id == handler.id)
}

/// Whether a handler has this method on this path.
fn has(app: &App, method: &str, path: &str) -> bool {
    app.handlers.iter().any(|handler| of(handler, path) == Some(method))
}

/// The handler's method, if it has one on this path.
fn of<'a>(handler: &'a Handler, path: &str) -> Option<&'a str> {
    match &handler.trigger {
        Trigger::Http { method, path: own } if own == path => Some(method),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixture;

    fn layer(plan: &mut updraft_model::Plan, path: &str) {
        let mut layer = plan.app.handler("shop::orders::get_order").unwrap().clone();
        layer.id = "shop::cross_origin".into();
        layer.trigger = Trigger::Layer { path: path.into(), order: 0 };
        plan.app.handlers.push(layer);
    }

    fn of_options(plan: &updraft_model::Plan) -> Vec<String> {
        let all = plan.app.handlers.iter().flat_map(|handler| routes(&plan.app, handler));
        all.filter(|key| key.starts_with("OPTIONS ")).collect()
    }

    #[test]
    fn options_of_what_is_layered() {
        let mut plan = fixture::shop();
        assert_eq!(of_options(&plan), Vec::<String>::new());
        layer(&mut plan, "/orders");
        assert_eq!(of_options(&plan), ["OPTIONS /orders/{id}", "OPTIONS /orders"]);
    }

    /// Two methods on a path are one route of options; and none but its own, if a handler is for them.
    #[test]
    fn options_once() {
        let mut plan = fixture::shop();
        layer(&mut plan, "/");
        let mut list = plan.app.handler("shop::orders::place_order").unwrap().clone();
        list.id = "shop::orders::list_orders".into();
        list.trigger = Trigger::Http { method: "get".into(), path: "/orders".into() };
        plan.app.handlers.push(list.clone());
        assert_eq!(of_options(&plan), ["OPTIONS /orders/{id}", "OPTIONS /orders", "OPTIONS /quotes/{sku}"]);
        list.id = "shop::orders::order_options".into();
        list.trigger = Trigger::Http { method: "options".into(), path: "/orders".into() };
        plan.app.handlers.push(list);
        assert_eq!(of_options(&plan), ["OPTIONS /orders/{id}", "OPTIONS /quotes/{sku}", "OPTIONS /orders"]);
    }
}
