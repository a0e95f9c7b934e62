//! A unit with one handler, and what it asks of AWS remembered: for tests.

use super::Unit;
use super::peers::Queues;
use crate::ctx::{Ctx, Engines, Options};
use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use crate::registry::{Dispatch, Handler};
use crate::telemetry::start::Telemetry;
use axum::Router;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use updraft_wire::Grants;
use updraft_wire::aws::{GivenUp, Known, Resources};

/// The unit's dead letters.
pub(super) const DEAD: &str = "https://sqs.eu-central-1.amazonaws.com/1/dead";

/// SQS: what was put back where, what was kept, and what was hidden for how long.
#[derive(Default)]
pub(super) struct Played {
    pub(super) put: Mutex<Vec<(String, Message, Duration)>>,
    pub(super) kept: Mutex<Vec<(String, Message, GivenUp)>>,
    pub(super) hidden: Mutex<Vec<(String, Duration)>>,
    pub(super) away: bool,
    /// It takes its time: for ever.
    pub(super) slow: bool,
}

impl Played {
    async fn take(&self) -> EngineResult<()> {
        match self {
            Played { slow: true, .. } => std::future::pending().await,
            Played { away: true, .. } => Err(EngineError::Unavailable("away".into())),
            _ => Ok(()),
        }
    }
}

impl Queues for Played {
    fn put<'a>(&'a self, url: &'a str, messages: Vec<Message>, delay: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            self.take().await?;
            self.put.lock().unwrap().extend(messages.into_iter().map(|message| (url.to_owned(), message, delay)));
            Ok(())
        })
    }

    fn keep<'a>(&'a self, url: &'a str, message: Message, told: GivenUp) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            self.take().await?;
            self.kept.lock().unwrap().push((url.to_owned(), message, told));
            Ok(())
        })
    }

    fn hide<'a>(&'a self, _: &'a str, receipt: &'a str, pause: Duration) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            if self.slow {
                self.take().await?;
            }
            self.hidden.lock().unwrap().push((receipt.to_owned(), pause));
            Ok(())
        })
    }
}

pub(super) struct Nothing;

impl Messaging for Nothing {
    fn publish(&self, _: Channel, _: Vec<Message>, _: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async { Ok(()) })
    }
}

/// A unit with this handler, which takes from the queues `orders` and `orders.fifo`.
pub(super) fn unit(id: &'static str, dispatch: Dispatch, queues: Arc<Played>) -> Unit {
    let handler = Handler { id, descriptor: &[], grants: Grants::None, timeout_millis: 60_000, dispatch };
    let handler: &'static Handler = Box::leak(Box::new(handler));
    let arn = |queue| Known::Consumes.key(&format!("arn:aws:sqs:eu-central-1:1:{queue}"));
    let consumes = ["orders", "orders.fifo"].map(|queue| (arn(queue), id.to_owned()));
    let dead = (Known::DeadLetters.key(id), DEAD.to_owned());
    Unit {
        ctx: Ctx::new("app", Engines::only(Arc::new(Nothing)), Options::default()),
        router: Router::new(),
        handlers: BTreeMap::from([(id, handler)]),
        resources: Resources(consumes.into_iter().chain([dead]).collect()),
        queues,
        once: None,
        telemetry: Telemetry::default(),
        streams: false,
    }
}
