//! From the binding to a unit that is ready. Nothing is reached that need not be: a cold start is somebody's wait, and what is
//! away is told by the first that needs it.

use super::Unit;
use super::calls::Calls;
use super::peers::{self, Peers};
use crate::clock::SystemClock;
use crate::ctx::{Ctx, Options};
use crate::inflight::InFlight;
use crate::registry::{self, Dispatch, Handler};
use crate::router::router;
use crate::server::binding::{self, Face};
use crate::server::client::Client;
use crate::server::{engines, log, reached};
use crate::shared;
use crate::telemetry::spans;
use crate::telemetry::start::{self as telemetry, Who};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use updraft_wire::aws::{Known, RESOURCES_VARIABLE, Resources};

/// Makes the unit ready.
///
/// # Errors
/// Why it can't be; all reasons that are known.
pub(super) async fn start(path: &Path, started: Instant) -> Result<Unit, Vec<String>> {
    let one = |problem: String| vec![problem];
    let binding = binding::load(path).map_err(one)?;
    let (name, unit) = binding::unit(&binding).map_err(one)?;
    let resources = resources(std::env::var(RESOURCES_VARIABLE).ok().as_deref()).map_err(one)?;
    let all = registry::handlers().map_err(one)?;
    let (mine, others): (Vec<&'static Handler>, Vec<_>) =
        all.into_values().partition(|handler| unit.handlers.contains(handler.id));
    // A function has one face, and shared values only where they are taken.
    let runs = reached(&mine, |handler| !matches!(handler.dispatch, Dispatch::Shared { .. }));

    let client = Client::new();
    let mut equipment = engines::equip(&binding, &runs, (Face::Internal, false), &client).await?;
    let Peers { queues, invoke } = peers::peers();
    let away = away(&runs, &mine, &resources)?;
    let takes = |handler: &&&Handler| {
        let dispatch = &handler.dispatch;
        matches!(
            dispatch,
            Dispatch::Consumer { .. } | Dispatch::Batch { .. } | Dispatch::Subscriber { .. } | Dispatch::Object { .. }
        )
    };
    if let Some(handler) = mine.iter().find(takes).filter(|_| cfg!(not(feature = "sqs"))) {
        return Err(one(format!("`{}` takes messages of SQS: {}", handler.id, engines::built_without("sqs"))));
    }
    if let Some(id) = away.keys().next().filter(|_| cfg!(not(feature = "invoke"))) {
        return Err(one(format!("function `{id}`: {}", engines::built_without("invoke"))));
    }
    if !away.is_empty() {
        let calls = Arc::new(Calls::new(invoke, away.clone()));
        let by_id = away.into_keys().map(|id| (id, calls.clone() as _)).collect();
        equipment.engines.functions.by_id = by_id;
    }

    let in_flight = InFlight::default();
    let who = Who { app: &binding.app, unit: Some(&name), handlers: &mine, in_flight: in_flight.clone(), page: false };
    let (telemetry, observer) = telemetry::start(who, Arc::new(log::Log), &client);
    let options = Options { clock: Arc::new(SystemClock), observer, faults: None, serialise_calls: false };
    let ctx = Ctx::new(&binding.app, equipment.engines, options);
    let span = spans::cold_start(&ctx, &name, started.elapsed());
    shared::build_all(&ctx, &runs).await.map_err(one)?;
    let limits = binding.http.unwrap_or_default();
    let router = router(&ctx, &mine, &others, &in_flight, limits.body).map_err(one)?;
    drop(span);
    tracing::info!(app = binding.app, unit = name, "ready");
    let handlers = mine.into_iter().map(|handler| (handler.id, handler)).collect();
    Ok(Unit { ctx, router, handlers, resources, queues, once: equipment.once, telemetry })
}

/// What CloudFormation told.
fn resources(text: Option<&str>) -> Result<Resources, String> {
    let Some(text) = text else { return Ok(Resources::default()) };
    serde_json::from_str(text).map_err(|error| format!("{RESOURCES_VARIABLE} can't be read: {error}"))
}

/// Functions that these handlers call and another unit serves: id → ARN.
fn away(
    runs: &[&'static Handler],
    mine: &[&'static Handler],
    resources: &Resources,
) -> Result<BTreeMap<String, String>, Vec<String>> {
    let (mut away, mut problems) = (BTreeMap::new(), Vec::new());
    for (kind, id) in engines::granted(runs) {
        if kind != "function" || mine.iter().any(|handler| handler.id == id) {
            continue;
        }
        match resources.get(Known::Function, id) {
            Some(arn) => {
                away.insert(id.to_owned(), arn.to_owned());
            }
            None => problems.push(format!("function `{id}`: {RESOURCES_VARIABLE} does not say who serves it")),
        }
    }
    if problems.is_empty() { Ok(away) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use updraft_wire::Grants;

    #[test]
    fn a_function_of_another_unit_needs_an_arn() {
        let handler = |id: &'static str, grants| -> &'static Handler {
            let dispatch = Dispatch::Function { call: |_, _| Box::pin(async { Ok(Default::default()) }) };
            Box::leak(Box::new(Handler { id, descriptor: &[], grants, timeout_millis: 1, dispatch }))
        };
        const CALLS: Grants = Grants::All(&[
            Grants::One { kind: "function", resource: "near", access: "call" },
            Grants::One { kind: "function", resource: "far", access: "call" },
        ]);
        let mine = [handler("near", Grants::None), handler("caller", CALLS)];
        let told = resources(Some(r#"{"function/far": "arn:far"}"#)).unwrap();
        assert_eq!(away(&mine, &mine, &told).unwrap(), BTreeMap::from([("far".into(), "arn:far".into())]));
        let problems = away(&mine, &mine, &resources(None).unwrap()).unwrap_err();
        assert_eq!(problems, ["function `far`: UPDRAFT_RESOURCES does not say who serves it"]);
        assert!(resources(Some("[]")).is_err());
    }
}
