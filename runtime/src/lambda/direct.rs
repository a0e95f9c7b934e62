//! What the unit is asked directly: schedules that are due, and calls of its functions.

use super::api::{Invocation, Problem};
use super::settle::Attempted;
use super::{Ends, Unit, left};
use crate::ctx::{self, Event, Verdict};
use crate::dispatch::{self, FailureKind};
use crate::engine::Message;
use crate::function::CallError;
use crate::registry::{Dispatch, Handler, Tick};
use crate::telemetry::TraceContext;
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Instant;
use updraft_wire::aws::events::{Asked, Call, CallAnswer, CallFailure, CallFailureKind, Direct, Due};

impl Unit {
    pub(super) async fn direct(&self, direct: Direct, invocation: &Invocation, ends: Ends) -> Result<Vec<u8>, Problem> {
        match direct.updraft {
            Asked::Schedule(due) => self.run(due, invocation, ends).await,
            Asked::Call(call) => self.call(call, invocation, ends).await,
            Asked::Outbox(outbox) => {
                let moved = self.ctx.engines().databases.look_after(&outbox.database, &self.ctx, left(ends.work)).await;
                moved.map(|moved| moved.to_string().into_bytes()).map_err(|reason| Problem::new("outbox", reason))
            }
        }
    }

    /// Runs a schedule. Lambda tries a run that failed again, under the same request id; one that trying again won't cure is
    /// given up here.
    async fn run(&self, due: Due, invocation: &Invocation, ends: Ends) -> Result<Vec<u8>, Problem> {
        let handler = self.handler(&due.handler)?;
        let scheduled: Timestamp = due.scheduled.parse().map_err(|error| {
            Problem::new("unreadable", format!("`{}` is no time at which a run was due: {error}", due.scheduled))
        })?;
        let tick = Tick { scheduled, attempt: due.attempt.parse().ok() };
        let (started, first) = (Instant::now(), self.ctx.clock().now());
        let outcome = dispatch::run_by(&self.ctx, handler, tick.clone(), invocation.trace.clone(), ends.work).await;
        let verdict = |kind| match kind {
            FailureKind::Permanent | FailureKind::Skew { .. } => Verdict::DeadLetter,
            FailureKind::Error | FailureKind::Panic | FailureKind::Timeout => Verdict::Answer,
        };
        self.ctx.observe(&Event::Finished {
            handler: handler.id,
            trigger: "schedule",
            message: None,
            attempt: tick.attempt.unwrap_or(1),
            elapsed: started.elapsed(),
            failure: outcome.as_ref().err().map(|failure| (failure, verdict(failure.kind))),
        });
        let Err(failure) = outcome else { return Ok(b"null".to_vec()) };
        if verdict(failure.kind) == Verdict::DeadLetter {
            let message = Message {
                id: invocation.id.clone(),
                source: String::new(),
                time: scheduled,
                schema: None,
                trace: invocation.trace.clone(),
                attributes: BTreeMap::new(),
                // As it would lie there if Lambda had given it up.
                body: invocation.event.clone(),
            };
            let attempted = Attempted { handler, message: &message, attempts: tick.attempt, first, by: ends.all };
            if self.give_up(attempted, &failure).await {
                return Ok(b"null".to_vec());
            }
        }
        Err(Problem::new(failure.kind.as_str(), failure.reason))
    }

    /// Answers a call. A function's error is an answer too: the event has gone well.
    async fn call(&self, call: Call, invocation: &Invocation, ends: Ends) -> Result<Vec<u8>, Problem> {
        let unreadable = |reason: String| answer(Err(failure(CallFailureKind::Unreadable, reason)));
        let Some(handler) = self.handlers.get(call.handler.as_str()).copied() else {
            return unreadable(format!("the unit has no function `{}`", call.handler));
        };
        let Dispatch::Function { call: run } = handler.dispatch else {
            return unreadable(format!("`{}` is no function", call.handler));
        };
        let deadline: Timestamp = match call.deadline.parse() {
            Ok(deadline) => ends.work.min(deadline),
            Err(error) => return unreadable(format!("`{}` is no deadline: {error}", call.deadline)),
        };
        let own = call.trace.and_then(|trace| TraceContext::parse(&trace.traceparent, trace.tracestate.as_deref()));
        let trace = own.or_else(|| invocation.trace.clone());
        let arguments = match serde_json::to_vec(&call.arguments) {
            Ok(arguments) => Bytes::from(arguments),
            Err(error) => return unreadable(error.to_string()),
        };
        let scope = self.ctx.scope(handler, ctx::Invocation { deadline, trace });
        let outcome = tokio::time::timeout(left(deadline), run(scope, arguments)).await;
        answer(match outcome.unwrap_or(Err(CallError::TimedOut)) {
            Ok(result) => Ok(result),
            Err(CallError::Failed(own)) => {
                let told = failure(CallFailureKind::Failed, own.chain());
                Err(CallFailure { error: own.value(), ..told })
            }
            Err(CallError::TimedOut) => Err(failure(CallFailureKind::TimedOut, "the call took too long".to_owned())),
            Err(CallError::Panicked(words)) => Err(failure(CallFailureKind::Panicked, words)),
            Err(CallError::Unreadable(reason)) => Err(failure(CallFailureKind::Unreadable, reason)),
            // Not the function's doing: the caller learns that it was not reached.
            Err(CallError::Unavailable(error)) => return Err(Problem::new("unavailable", error.to_string())),
        })
    }

    /// A handler of this unit.
    fn handler(&self, id: &str) -> Result<&'static Handler, Problem> {
        let missing = || Problem::new("unknown-handler", format!("the unit has no handler `{id}`"));
        self.handlers.get(id).copied().ok_or_else(missing)
    }
}

fn failure(kind: CallFailureKind, message: String) -> CallFailure {
    CallFailure { kind, message, error: None }
}

/// [`CallAnswer`] as JSON. A result goes as it is: reading it here might lose digits.
fn answer(outcome: Result<Bytes, CallFailure>) -> Result<Vec<u8>, Problem> {
    match outcome {
        Ok(result) => Ok([br#"{"ok":"#, result.as_ref(), b"}"].concat()),
        Err(failure) => serde_json::to_vec(&CallAnswer::Error(failure))
            .map_err(|error| Problem::new("unreadable", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::lambda::Answer;
    use crate::lambda::fixture::{DEAD, Played, unit};
    use serde_json::{Value, json};
    use std::sync::Arc;

    const NIGHTLY: Dispatch = Dispatch::Schedule {
        cron: "0 3 * * *",
        timezone: "UTC",
        overlap: false,
        run_missed: false,
        retries: 2,
        run: |_, tick| {
            Box::pin(async move {
                match tick.attempt {
                    Some(1) => Ok(()),
                    Some(2) => Err(Error::new(format!("not at {}", tick.scheduled))),
                    Some(3) => panic!("ouch"),
                    _ => Err(Error::permanent("never")),
                }
            })
        },
    };

    async fn ask(unit: &Unit, asked: Value) -> Result<Value, Problem> {
        let event = json!({ "updraft": asked }).to_string();
        let (id, deadline, trace) = ("r1".to_owned(), Timestamp::MAX, None);
        let invocation = Invocation { id, deadline, trace, event: event.into() };
        let answer = unit.outcome(&invocation, &mut Ends::of(deadline)).await?;
        let Answer::Whole(answer) = answer else { panic!("an answer that comes in pieces") };
        Ok(serde_json::from_slice(&answer).expect("JSON"))
    }

    #[tokio::test]
    async fn a_run_that_fails_is_tried_again_or_given_up() {
        let queues = Arc::new(Played::default());
        let unit = unit("nightly", NIGHTLY, queues.clone());
        let run = |attempt: Value| {
            let due = json!({ "handler": "nightly", "scheduled": "2026-11-25T03:00:00Z", "attempt": attempt });
            ask(&unit, json!({ "schedule": due }))
        };
        assert_eq!(run(json!("1")).await, Ok(Value::Null));
        assert_eq!(run(json!(2)).await, Err(Problem::new("error", "not at 2026-11-25T03:00:00Z")));
        assert_eq!(run(json!("3")).await, Err(Problem::new("panic", "ouch")));
        assert!(queues.kept.lock().unwrap().is_empty());
        assert_eq!(run(json!("4")).await, Ok(Value::Null));
        let put = queues.kept.lock().unwrap();
        let (url, letter, told) = &put[0];
        assert_eq!((url.as_str(), letter.id.as_str(), told.reason.as_str()), (DEAD, "r1", "never"));
        assert!(serde_json::from_slice::<Direct>(&letter.body).is_ok(), "it can be asked again");
    }

    #[tokio::test]
    async fn a_permanent_failure_that_cant_be_given_up_is_told() {
        let unit = unit("away", NIGHTLY, Arc::new(Played { away: true, ..Played::default() }));
        let due = json!({ "handler": "away", "scheduled": "2026-11-25T03:00:00Z", "attempt": "4" });
        assert_eq!(ask(&unit, json!({ "schedule": due })).await, Err(Problem::new("permanent", "never")));
    }

    #[tokio::test]
    async fn a_call_is_answered_whatever_comes_of_it() {
        let dispatch = Dispatch::Function {
            call: |scope, body| {
                Box::pin(async move {
                    let arguments: Value = serde_json::from_slice(&body).expect("JSON");
                    match arguments["act"].as_str() {
                        Some("slow") => std::future::pending().await,
                        Some("panic") => Err(CallError::Panicked("ouch".to_owned())),
                        Some("away") => {
                            Err(CallError::Unavailable(crate::engine::EngineError::Unavailable("x".into())))
                        }
                        Some(_) => Err(CallError::Unreadable("what?".to_owned())),
                        // More digits than a float has.
                        None => {
                            let trace = scope.invocation().trace.as_ref().map(TraceContext::parent);
                            Ok(format!(r#"[12345678901234567890123, "{}"]"#, trace.unwrap_or_default()).into())
                        }
                    }
                })
            },
        };
        let unit = unit("quote", dispatch, Arc::default());
        let call = |handler: &'static str, millis: i64, act: Value| {
            let deadline = (Timestamp::now() + jiff::SignedDuration::from_millis(millis)).to_string();
            let trace = json!({ "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
            let call = json!({ "handler": handler, "deadline": deadline, "arguments": act, "trace": trace });
            ask(&unit, json!({ "call": call }))
        };
        let fine = call("quote", 60_000, json!({})).await.unwrap();
        assert_eq!(fine["ok"][1], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        for (millis, act, kind, message) in [
            (20, "slow", "timed-out", "the call took too long"),
            (60_000, "panic", "panicked", "ouch"),
            (60_000, "other", "unreadable", "what?"),
        ] {
            let answer = call("quote", millis, json!({ "act": act })).await.unwrap();
            assert_eq!(answer, json!({ "error": { "kind": kind, "message": message } }));
        }
        assert_eq!(call("quote", 60_000, json!({ "act": "away" })).await.unwrap_err().kind, "unavailable");
        let unknown = call("other", 60_000, json!({})).await.unwrap();
        assert_eq!(unknown["error"]["message"], "the unit has no function `other`");
    }

    #[tokio::test]
    async fn what_follows_a_request_has_the_requests_time() {
        let unit = unit("any", NIGHTLY, Arc::default());
        let deadline = Timestamp::now() + jiff::SignedDuration::from_mins(15);
        let told = json!({ "method": "GET", "path": "/", "protocol": "HTTP/1.1" });
        for (host, less) in
            [("x.execute-api.eu-central-1.amazonaws.com", true), ("x.lambda-url.eu-central-1.on.aws", false)]
        {
            let context = json!({ "stage": "$default", "http": told, "domainName": host });
            let event = json!({ "version": "2.0", "rawPath": "/", "headers": {}, "requestContext": context });
            let (id, trace, event) = ("r1".to_owned(), None, event.to_string().into());
            let mut ends = Ends::of(deadline);
            unit.outcome(&Invocation { id, deadline, trace, event }, &mut ends).await.expect("an answer");
            assert_eq!(ends.work < Ends::of(deadline).work, less, "{host}");
            assert_eq!(ends.all, Ends::of(deadline).all);
        }
    }

    #[tokio::test]
    async fn what_nobody_takes_is_an_error() {
        let unit = unit("only", NIGHTLY, Arc::default());
        let due = json!({ "handler": "other", "scheduled": "2026-11-25T03:00:00Z", "attempt": "1" });
        assert_eq!(ask(&unit, json!({ "schedule": due })).await.unwrap_err().kind, "unknown-handler");
        let due = json!({ "handler": "only", "scheduled": "soon", "attempt": "1" });
        assert_eq!(ask(&unit, json!({ "schedule": due })).await.unwrap_err().kind, "unreadable");
        let (id, deadline, trace) = ("r1".to_owned(), Timestamp::MAX, None);
        for (event, kind) in [
            ("{}", "unknown-event"),
            (r#"{"version": "1.0", "requestContext": {}}"#, "unknown-event"),
            (r#"{"Records": [{"eventSource": "aws:s3"}]}"#, "unreadable"),
            ("no JSON", "unreadable"),
        ] {
            let (id, trace, event) = (id.clone(), trace.clone(), event.into());
            let invocation = Invocation { id, deadline, trace, event };
            let outcome = unit.outcome(&invocation, &mut Ends::of(deadline)).await;
            assert_eq!(outcome.unwrap_err().kind, kind);
        }
    }
}
