//! Calls of functions that another unit serves, from this side.

use super::peers::Invoke;
use crate::engine::{BoxFuture, EngineError};
use crate::function::{CallError, Outgoing, Remote};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::aws::events::{Asked, Call, CallAnswer, CallFailure, CallFailureKind, Direct, Trace};

/// The functions of other units.
pub(super) struct Calls {
    invoke: Arc<dyn Invoke>,
    /// Id → ARN.
    arns: BTreeMap<String, String>,
}

impl Calls {
    pub(super) fn new(invoke: Arc<dyn Invoke>, arns: BTreeMap<String, String>) -> Self {
        Calls { invoke, arns }
    }
}

impl Remote for Calls {
    fn call<'a>(&'a self, function: &'a str, call: Outgoing) -> BoxFuture<'a, Result<Value, CallError<Value>>> {
        Box::pin(async move {
            let unknown = || EngineError::Misconfigured(format!("nobody is said to serve `{function}`"));
            let arn = self.arns.get(function).ok_or_else(unknown).map_err(CallError::Unavailable)?;
            let left = Duration::try_from(Timestamp::now().duration_until(call.deadline)).unwrap_or_default();
            let event = event(function, call).map_err(CallError::Unreadable)?;
            match tokio::time::timeout(left, self.invoke.invoke(arn, event, left)).await {
                Ok(Ok(answer)) => read(&answer),
                Ok(Err(error)) => Err(CallError::Unavailable(error)),
                Err(_) => Err(CallError::TimedOut),
            }
        })
    }
}

/// What the other unit is invoked with.
fn event(function: &str, call: Outgoing) -> Result<Bytes, String> {
    let trace = call.trace.map(|trace| Trace {
        traceparent: trace.parent(),
        tracestate: trace.state.as_ref().map(|state| state.as_ref().to_owned()),
    });
    let call =
        Call { handler: function.to_owned(), deadline: call.deadline.to_string(), trace, arguments: call.arguments };
    let direct = Direct { updraft: Asked::Call(call) };
    serde_json::to_vec(&direct).map(Bytes::from).map_err(|error| error.to_string())
}

/// What it answered.
fn read(answer: &[u8]) -> Result<Value, CallError<Value>> {
    match serde_json::from_slice(answer) {
        Ok(CallAnswer::Ok(value)) => Ok(value),
        Ok(CallAnswer::Error(CallFailure { kind, message, error })) => Err(match kind {
            CallFailureKind::Failed => {
                CallError::Failed(error.unwrap_or_else(|| serde_json::json!({ "message": message })))
            }
            CallFailureKind::TimedOut => CallError::TimedOut,
            CallFailureKind::Panicked => CallError::Panicked(message),
            CallFailureKind::Unreadable => CallError::Unreadable(message),
        }),
        Err(error) => Err(CallError::Unreadable(format!("its answer is none: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineResult;
    use crate::telemetry::TraceContext;
    use std::sync::Mutex;

    struct Played(Mutex<Vec<Value>>, &'static str);

    impl Invoke for Played {
        fn invoke<'a>(&'a self, function: &'a str, event: Bytes, _: Duration) -> BoxFuture<'a, EngineResult<Bytes>> {
            Box::pin(async move {
                assert_eq!(function, "arn:quote");
                self.0.lock().unwrap().push(serde_json::from_slice(&event).unwrap());
                match self.1 {
                    "away" => Err(EngineError::Unavailable("throttled".into())),
                    "slow" => std::future::pending().await,
                    answer => Ok(Bytes::from_static(answer.as_bytes())),
                }
            })
        }
    }

    async fn call(answer: &'static str) -> (Result<Value, CallError<Value>>, Vec<Value>) {
        let played = Arc::new(Played(Mutex::default(), answer));
        let calls = Calls::new(played.clone(), BTreeMap::from([("shop::quote".into(), "arn:quote".into())]));
        let outgoing = Outgoing {
            deadline: Timestamp::now() + jiff::SignedDuration::from_millis(if answer == "slow" { 20 } else { 60_000 }),
            trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("a=1")),
            arguments: serde_json::json!({ "sku": "tea" }),
        };
        let outcome = calls.call("shop::quote", outgoing).await;
        let sent = played.0.lock().unwrap().clone();
        (outcome, sent)
    }

    #[tokio::test]
    async fn a_call_says_who_until_when_and_why() {
        let (outcome, sent) = call(r#"{"ok": 20}"#).await;
        assert_eq!(outcome.unwrap(), 20);
        let sent = &sent[0]["updraft"]["call"];
        assert_eq!((&sent["handler"], &sent["arguments"]["sku"]), (&"shop::quote".into(), &"tea".into()));
        assert_eq!(sent["trace"]["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(sent["trace"]["tracestate"], "a=1");
        assert!(sent["deadline"].as_str().unwrap().parse::<Timestamp>().unwrap() > Timestamp::now());
    }

    #[tokio::test]
    async fn errors_keep_their_kind_and_words() {
        let told = async |answer| call(answer).await.0.unwrap_err();
        let failed = told(r#"{"error": {"kind": "failed", "message": "gone", "error": {"Gone": 1}}}"#).await;
        assert!(matches!(failed, CallError::Failed(value) if value["Gone"] == 1));
        let failed = told(r#"{"error": {"kind": "failed", "message": "gone"}}"#).await;
        assert!(matches!(failed, CallError::Failed(value) if value["message"] == "gone"));
        let panicked = told(r#"{"error": {"kind": "panicked", "message": "ouch"}}"#).await;
        assert!(matches!(panicked, CallError::Panicked(words) if words == "ouch"));
        assert!(matches!(told(r#"{"error": {"kind": "timed-out", "message": ""}}"#).await, CallError::TimedOut));
        assert!(matches!(told("slow").await, CallError::TimedOut));
        assert!(matches!(told("nonsense").await, CallError::Unreadable(_)));
        assert!(matches!(told("away").await, CallError::Unavailable(EngineError::Unavailable(_))));
    }
}
