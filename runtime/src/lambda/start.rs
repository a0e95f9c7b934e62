//! From the binding to a unit that is ready. Nothing is reached that need not be (a database's migrations must): a cold start
//! is somebody's wait, and what is away is told by the first that needs it.

use super::Unit;
use super::calls::Calls;
use super::peers;
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
    let all = registry::handlers().map_err(one)?;
    let (mine, others): (Vec<&'static Handler>, Vec<_>) =
        all.into_values().partition(|handler| unit.handlers.contains(handler.id));
    // A function has one face, and shared values only where they are taken.
    let runs = reached(&mine, |handler| !matches!(handler.dispatch, Dispatch::Shared { .. }));

    let client = Client::new();
    let mut equipment = engines::equip(&binding, &runs, (Face::Internal, false), &client).await?;
    let resources = equipment.aws.resources().map_err(one)?.clone();
    let away = away(&runs, &mine, &resources)?;
    let queues = match mine.iter().find(|handler| handler.takes_events()) {
        Some(handler) => {
            let told = |problem| one(format!("`{}` takes messages of SQS: {problem}", handler.id));
            peers::queues(&mut equipment.aws).map_err(told)?
        }
        None => Arc::new(peers::NoQueues),
    };
    if let Some(id) = away.keys().next() {
        let told = |problem| one(format!("function `{id}`: {problem}"));
        let invoke = peers::invoke(&mut equipment.aws).map_err(told)?;
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
    // The one thing that has to be there before anything else: tables.
    ctx.engines().databases.prepare().await.map_err(one)?;
    shared::build_all(&ctx, &runs).await.map_err(one)?;
    let (limits, streams) = (binding.http.unwrap_or_default(), unit.streams);
    let router = router(&ctx, &mine, &others, &in_flight, limits.body).map_err(one)?;
    drop(span);
    tracing::info!(app = binding.app, unit = name, "ready");
    let handlers = mine.into_iter().map(|handler| (handler.id, handler)).collect();
    Ok(Unit { ctx, router, handlers, resources, queues, once: equipment.once, telemetry, streams })
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
    fn what_comes_through_a_queue_is_taken_from_it() {
        let nightly = Dispatch::Schedule {
            cron: "0 3 * * *",
            timezone: "UTC",
            overlap: false,
            run_missed: false,
            retries: 2,
            run: |_, _| Box::pin(async { Ok(()) }),
        };
        let function = Dispatch::Function { call: |_, _| Box::pin(async { Ok(Default::default()) }) };
        for (dispatch, taken) in [(nightly, true), (function, false)] {
            let handler = Handler { id: "it", descriptor: &[], grants: Grants::None, timeout_millis: 1, dispatch };
            assert_eq!(handler.takes_events(), taken);
        }
    }

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
        let told = Resources(BTreeMap::from([("function/far".into(), "arn:far".into())]));
        assert_eq!(away(&mine, &mine, &told).unwrap(), BTreeMap::from([("far".into(), "arn:far".into())]));
        let problems = away(&mine, &mine, &Resources::default()).unwrap_err();
        assert_eq!(problems, ["function `far`: UPDRAFT_RESOURCES does not say who serves it"]);
    }
}
