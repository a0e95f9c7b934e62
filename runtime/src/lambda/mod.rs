//! Lambda mode: one unit of the application as a function of AWS Lambda, which is handed one event at a time.
//!
//! ```text
//! api      Lambda's Runtime API       start    from the binding to what runs
//! http     requests, answers          direct   schedules, calls of functions
//! queue    batches of SQS             record   what a message of SQS says
//! stream   answers as they come       object   what a bucket tells
//! settle   what follows an attempt
//! calls    functions of other units   peers    what is asked of AWS
//! ```
//!
//! Variables are those of server mode, but `PORT`, `UPDRAFT_FACE` and `UPDRAFT_SECRETS_DIR`: a function has no port and one
//! face. What CloudFormation alone knows stands in `UPDRAFT_RESOURCES`.

mod api;
mod calls;
mod direct;
#[cfg(test)]
mod fixture;
mod http;
mod object;
mod peers;
mod queue;
mod record;
mod settle;
mod start;
mod stream;

use crate::ctx::Ctx;
use crate::dispatch::panic_message;
use crate::registry::Handler;
use crate::server::ended;
use crate::server::once::Once;
use crate::telemetry::start::Telemetry;
use api::{Api, Invocation, Problem};
use axum::Router;
use axum::response::Response;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use peers::Queues;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tower::ServiceExt;
use tracing::Instrument;
use updraft_wire::aws::Resources;
use updraft_wire::aws::events::{Direct, HttpEvent, SqsEvent};

/// What an event is answered with.
#[derive(Debug)]
enum Answer {
    /// JSON.
    Whole(Vec<u8>),
    /// What leaves as it comes.
    Streamed(Response),
}

impl Answer {
    async fn of(response: Response, streams: bool) -> Self {
        if streams { Answer::Streamed(response) } else { Answer::Whole(http::answer(response).await) }
    }
}

/// What is left of an event's time when its work is given up: enough to say so.
const MARGIN: SignedDuration = SignedDuration::from_millis(200);
/// The same for what follows the work: an answer must still leave.
const LAST: SignedDuration = SignedDuration::from_millis(50);
/// An HTTP API waits for 30 s, then answers itself, in words of its own.
const GATEWAY: SignedDuration = SignedDuration::from_secs(29);
/// What traces may take of an event's time after its answer.
const FLUSH: Duration = Duration::from_secs(2);
/// What the end may take: Lambda kills 300 ms after SIGTERM.
const GRACE: Duration = Duration::from_millis(250);

/// When what an event asks for must be over.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ends {
    /// Handlers' work.
    work: Timestamp,
    /// What follows it: putting back, giving up, traces.
    all: Timestamp,
}

impl Ends {
    fn of(deadline: Timestamp) -> Self {
        let before = |margin| match deadline == Timestamp::MAX {
            true => deadline,
            false => deadline.saturating_sub(margin).unwrap_or(Timestamp::MAX),
        };
        Ends { work: before(MARGIN), all: before(LAST) }
    }

    /// The same for a request that came in then.
    fn of_request(self, came: Timestamp) -> Self {
        Ends { work: self.work.min(came.saturating_add(GATEWAY).unwrap_or(Timestamp::MAX)), ..self }
    }
}

/// A unit that is ready.
struct Unit {
    ctx: Ctx,
    router: Router,
    /// All of its handlers.
    handlers: BTreeMap<&'static str, &'static Handler>,
    resources: Resources,
    queues: Arc<dyn Queues>,
    once: Option<Once>,
    telemetry: Telemetry,
    /// Whether requests come through a function's URL.
    streams: bool,
}

/// Runs as the binding at `path` says, until Lambda ends it.
///
/// # Errors
/// Why it can't run; Lambda has been told.
pub(crate) async fn run(path: &Path) -> Result<(), Vec<String>> {
    let started = Instant::now();
    let api = Api::from_environment().map_err(|problem| vec![problem])?;
    let mut end = Box::pin(ended());
    // Beside all else: Lambda's answer takes its time.
    let registering = tokio::spawn({
        let api = api.clone();
        async move { api.register().await }
    });
    // It is sent before anything else is done here: a new task waits for whoever made it to pause.
    tokio::task::yield_now().await;
    let unit = start::start(path, started).await;
    match registering.await.map_err(|error| error.to_string()).flatten() {
        Ok(extension) => {
            // With a connection of its own, so that the one that is there takes the first event.
            let apart = api.apart();
            tokio::spawn(async move { apart.idle(extension).await });
        }
        Err(reason) => tracing::info!(reason, "no extension: the end will come without a signal"),
    }
    let unit = match unit {
        Ok(unit) => unit,
        Err(problems) => {
            let problem = Problem::new("updraft.start", problems.join("\n"));
            if let Err(reason) = api.fail_start(&problem).await {
                tracing::error!(reason, "Lambda could not be told");
            }
            return Err(problems);
        }
    };
    loop {
        let invocation = tokio::select! {
            biased;
            invocation = api.next() => invocation.map_err(|reason| vec![reason])?,
            () = &mut end => break,
        };
        unit.work(&api, invocation).await;
    }
    unit.telemetry.flush(GRACE).await;
    tracing::info!("ended");
    Ok(())
}

/// What an event has of the members by which kinds of events are told apart.
#[derive(Deserialize)]
struct Shape {
    updraft: Option<IgnoredAny>,
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    #[serde(rename = "requestContext")]
    request_context: Option<IgnoredAny>,
    version: Option<serde_json::Value>,
}

impl Unit {
    /// Works on one event, and says what became of it. Whatever goes wrong costs this event alone.
    async fn work(&self, api: &Api, invocation: Invocation) {
        // An error's span, so that no level leaves the id out.
        let span = tracing::error_span!("invocation", request_id = invocation.id);
        let answered = async {
            let mut ends = Ends::of(invocation.deadline);
            let outcome = AssertUnwindSafe(self.outcome(&invocation, &mut ends))
                .catch_unwind()
                .await
                .unwrap_or_else(|panic| Err(Problem::new("panic", panic_message(&*panic))));
            let outcome = match outcome {
                // It says itself when.
                Ok(Answer::Streamed(response)) => return self.stream(api, &invocation.id, response, ends).await,
                Ok(Answer::Whole(answer)) => Ok(answer),
                Err(problem) => Err(problem),
            };
            // What was committed is on its way before anybody is told, since afterwards nothing goes on here.
            self.rest(ends).await;
            match outcome {
                Ok(answer) if answer.len() > http::ANSWER_LIMIT_BYTES => {
                    let message = format!("an answer of {} bytes is more than Lambda takes", answer.len());
                    let problem = Problem::new("too-large", message);
                    tracing::error!(reason = problem.message, "an event failed");
                    api.fail(&invocation.id, &problem).await
                }
                Err(problem) => {
                    tracing::error!(kind = problem.kind, reason = problem.message, "an event failed");
                    api.fail(&invocation.id, &problem).await
                }
                Ok(answer) => api.answer(&invocation.id, answer).await,
            }
        };
        async {
            if let Err(reason) = answered.await {
                tracing::error!(reason, "an event's answer was not taken");
            }
            // The process stands still from the next question on, and who knows for how long.
            self.telemetry.flush(FLUSH.min(left(Ends::of(invocation.deadline).all))).await;
        }
        .instrument(span)
        .await;
    }

    /// Hands on what was committed.
    async fn rest(&self, ends: Ends) {
        self.ctx.engines().databases.rest(&self.ctx, (left(ends.work), left(ends.all))).await;
    }

    /// The answer to an event. A request has less time than its event: `ends` says so from then on.
    async fn outcome(&self, invocation: &Invocation, ends: &mut Ends) -> Result<Answer, Problem> {
        let unreadable =
            |error: serde_json::Error| Problem::new("unreadable", format!("the event can't be read: {error}"));
        let event = &invocation.event;
        let shape: Shape = serde_json::from_slice(event).map_err(unreadable)?;
        if shape.updraft.is_some() {
            let direct: Direct = serde_json::from_slice(event).map_err(unreadable)?;
            self.direct(direct, invocation, *ends).await.map(Answer::Whole)
        } else if shape.records.is_some() {
            let batch: SqsEvent = serde_json::from_slice(event).map_err(unreadable)?;
            let answer = self.batch(batch, *ends).await?;
            serde_json::to_vec(&answer).map(Answer::Whole).map_err(unreadable)
        } else if shape.request_context.is_some() && shape.version == Some("2.0".into()) {
            let request: HttpEvent = serde_json::from_slice(event).map_err(unreadable)?;
            // One that an API asks for, while another takes its place, is answered as the API reads it.
            let streams = self.streams && !http::is_by_an_api(&request.request_context);
            if !streams && let Some(came) = http::came(&request, Timestamp::now()) {
                *ends = ends.of_request(came);
            }
            Ok(self.request(request, invocation, (ends.work, streams)).await)
        } else {
            let message = "the event is none that a unit takes: no request in payload format 2.0, no batch of SQS, no schedule \
                           and no call of a function";
            Err(Problem::new("unknown-event", message))
        }
    }

    /// A request. Its handler's own time holds to the response's head; a body that is answered whole must be there by then.
    async fn request(&self, event: HttpEvent, invocation: &Invocation, (by, streams): (Timestamp, bool)) -> Answer {
        use crate::problem::{problem, problem_id, problem_with_detail};
        use ::http::StatusCode;
        let request = match http::request(event, invocation.trace.as_ref()) {
            Ok(request) => request,
            Err(reason) => {
                let response = problem_with_detail(StatusCode::BAD_REQUEST, "This is no request", &reason);
                return Answer::of(response, streams).await;
            }
        };
        let work = async {
            let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            Answer::of(response, streams).await
        };
        match tokio::time::timeout(left(by), work).await {
            Ok(answer) => answer,
            Err(_) => {
                let id = problem_id();
                tracing::error!(id, "an answer was not complete by the end of the function's or the gateway's time");
                Answer::of(problem(StatusCode::GATEWAY_TIMEOUT, "The answer took too long", Some(&id)), streams).await
            }
        }
    }
}

/// How long it is until then.
fn left(by: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_until(by)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_before_what_follows_it_and_that_before_the_event() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        assert_eq!(Ends::of(at(60_000)), Ends { work: at(59_800), all: at(59_950) });
        assert_eq!(Ends::of(at(60_000)).of_request(at(1_000)), Ends { work: at(30_000), all: at(59_950) });
        assert_eq!(Ends::of(at(20_000)).of_request(at(1_000)), Ends { work: at(19_800), all: at(19_950) });
        let forever = Ends { work: Timestamp::MAX, all: Timestamp::MAX };
        assert_eq!(Ends::of(Timestamp::MAX), forever);
    }
}
