//! The control socket: how `invoke` and other commands reach the application that runs. It lies in the state's directory,
//! and only its owner may use it.
//!
//! One JSON line in, one JSON line out, then the connection closes.
//!
//! ```text
//! {"do":"ping"}                                                     {"ok":{"app":"shop","pid":1,"url":"http://…"}}
//! {"do":"invoke","handler":"shop::pricing::quote","input":{…}}      {"ok":{…}}
//! {"do":"request","method":"POST","uri":"/orders","headers":{…},"body":"…"}
//!                                                                   {"ok":{"status":202,"headers":{…},"body":"…"}}
//! {"do":"run","handler":"shop::nightly"}                            {"ok":"shop::nightly@2026-…"}   (queued, with retries)
//! {"do":"dead-letters","command":{"do":"list",…}}                   {"ok":{"letters":[{"id":"…",…}],"next":"…"}}
//! {"do":"dead-letters","command":{"do":"show",…}}                   {"ok":{"id":"…",…}}
//! {"do":"dead-letters","command":{"do":"redrive",…}}                {"ok":{"done":1,"failed":[…],"next":"…"}}   (`drop` alike)
//! ```
//!
//! `invoke` runs a handler once, now, without retries or dead letters: a consumer's or subscriber's input is the message, a
//! function's the object of its arguments, a schedule takes none. What fails is answered by
//! `{"error":"…","kind":"usage"|"failed"}`: `usage` if there is no such handler or the input can't be read.

use super::letters;
use super::run::{App, socket_path};
use crate::ctx::{Event, Invocation, Verdict};
use crate::dispatch::{self, FailureKind};
use crate::embedded::Lane;
use crate::engine::Message;
use crate::function::CallError;
use crate::message::UNREADABLE;
use crate::registry::{Dispatch, Handler, Incoming, Tick};
use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tower::ServiceExt;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Ping,
    Invoke {
        handler: String,
        #[serde(default)]
        input: Value,
    },
    Request {
        method: String,
        uri: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: String,
    },
    Run {
        handler: String,
    },
    DeadLetters {
        command: crate::selection::Command,
    },
}

/// Why a command was not done.
enum Refusal {
    Usage(String),
    Failed(String),
}

/// The socket; gone when this is dropped.
pub(super) struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens the socket and answers at it. Whoever owns the state may replace one that a killed process left.
pub(super) fn listen(state: &Path, app: Arc<App>) -> Result<Socket, String> {
    let path = socket_path(state);
    let _ = std::fs::remove_file(&path);
    let problem = |error: std::io::Error| {
        format!(
            "the control socket {} can't be made: {error}\nhelp: name another state directory: UPDRAFT_STATE_DIR=<directory>",
            path.display()
        )
    };
    // Made under another name, so that nobody reaches it before it is private.
    let unnamed = path.with_extension("new");
    let _ = std::fs::remove_file(&unnamed);
    let listener = UnixListener::bind(&unnamed).map_err(problem)?;
    std::fs::set_permissions(&unnamed, std::fs::Permissions::from_mode(0o600)).map_err(problem)?;
    std::fs::rename(&unnamed, &path).map_err(problem)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let app = app.clone();
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &app).await {
                    tracing::debug!(%error, "a control connection broke");
                }
            });
        }
    });
    Ok(Socket(path))
}

async fn answer(stream: UnixStream, app: &App) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let Some(line) = BufReader::new(reader).lines().next_line().await? else { return Ok(()) };
    let answer = match serde_json::from_str(&line) {
        Ok(command) => obey(app, command).await,
        Err(error) => Err(Refusal::Usage(format!("no command: {error}"))),
    };
    let answer = match answer {
        Ok(value) => json!({ "ok": value }),
        Err(Refusal::Usage(error)) => json!({ "error": error, "kind": "usage" }),
        Err(Refusal::Failed(error)) => json!({ "error": error, "kind": "failed" }),
    };
    writer.write_all(format!("{answer}\n").as_bytes()).await?;
    writer.shutdown().await
}

async fn obey(app: &App, command: Command) -> Result<Value, Refusal> {
    let failed = |error: crate::engine::EngineError| Refusal::Failed(error.to_string());
    match command {
        Command::Ping => Ok(json!({ "app": app.ctx.app(), "pid": std::process::id(), "url": app.url })),
        Command::Invoke { handler, input } => invoke(app, find(app, &handler)?, input).await,
        Command::Request { method, uri, headers, body } => request(app, &method, &uri, &headers, body).await,
        Command::Run { handler } => {
            let lane = schedule(app, &handler).map_err(Refusal::Usage)?;
            Ok(app.engine.run_now(app.ctx.app(), &lane).await.map_err(failed)?.into())
        }
        Command::DeadLetters { command } => letters::obey(app, command).await.map_err(|problem| match problem {
            letters::Problem::Question(problem) => Refusal::Usage(problem),
            letters::Problem::State(error) => failed(error),
        }),
    }
}

fn find(app: &App, id: &str) -> Result<&'static Handler, Refusal> {
    app.handlers.get(id).copied().ok_or_else(|| Refusal::Usage(format!("this program has no handler `{id}`")))
}

/// The lane of a schedule, by its handler's id.
pub(super) fn schedule(app: &App, id: &str) -> Result<Lane, String> {
    let lane = app.engine.topology().lane_of(id);
    match lane.filter(|lane| matches!(lane.handler.dispatch, Dispatch::Schedule { .. })) {
        Some(lane) => Ok(lane.clone()),
        None => {
            let is_schedule = |handler: &&&Handler| matches!(handler.dispatch, Dispatch::Schedule { .. });
            let known: Vec<_> = app.handlers.values().filter(is_schedule).map(|handler| handler.id).collect();
            let known =
                if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
            Err(format!("this program has no schedule `{id}`: {known}"))
        }
    }
}

/// One run of a handler.
async fn invoke(app: &App, handler: &'static Handler, input: Value) -> Result<Value, Refusal> {
    let started = Instant::now();
    let body = input.to_string().into();
    let (trigger, outcome) = match &handler.dispatch {
        Dispatch::Http { method, route, .. } => {
            return Err(Refusal::Usage(format!("`{}` answers requests: send one, {method} {route}", handler.id)));
        }
        Dispatch::Routes { prefix, .. } => {
            return Err(Refusal::Usage(format!("`{}` answers requests under {prefix}: send one", handler.id)));
        }
        Dispatch::Layer { .. } | Dispatch::Shared { .. } => {
            return Err(Refusal::Usage(format!("`{}` ran at the start: nothing calls it", handler.id)));
        }
        Dispatch::Consumer { .. } | Dispatch::Batch { .. } | Dispatch::Subscriber { .. } | Dispatch::Object { .. } => {
            let message = Message {
                id: uuid::Uuid::now_v7().to_string(),
                source: updraft_wire::ids::event_source(app.ctx.app(), "invoke"),
                time: app.ctx.clock().now(),
                schema: None,
                trace: None,
                attributes: BTreeMap::new(),
                body,
            };
            let incoming = Incoming { message, attempt: Some(1) };
            ("message", dispatch::deliver(&app.ctx, handler, incoming).await.map(|()| Value::Null))
        }
        Dispatch::Schedule { .. } => {
            let tick = Tick { scheduled: app.ctx.clock().now(), attempt: Some(1) };
            ("schedule", dispatch::run(&app.ctx, handler, tick, None).await.map(|()| Value::Null))
        }
        Dispatch::Function { call } => {
            // It is observed as every call is.
            let scope = app.ctx.scope(handler, Invocation { deadline: jiff::Timestamp::MAX, trace: None });
            return match call(scope, body).await {
                Ok(result) => Ok(serde_json::from_slice(&result).unwrap_or(Value::Null)),
                Err(CallError::Unreadable(reason)) => Err(Refusal::Usage(reason)),
                Err(CallError::Failed(error)) => Err(Refusal::Failed(error.chain())),
                Err(CallError::Panicked(words)) => Err(Refusal::Failed(format!("the handler panicked: {words}"))),
                Err(CallError::TimedOut) => {
                    let seconds = Duration::from_millis(handler.timeout_millis).as_secs_f64();
                    Err(Refusal::Failed(format!("took longer than {seconds}s")))
                }
                Err(CallError::Unavailable(error)) => Err(Refusal::Failed(error.to_string())),
            };
        }
    };
    if let Err(failure) = &outcome
        && failure.kind == FailureKind::Permanent
        && failure.reason.starts_with(UNREADABLE)
    {
        return Err(Refusal::Usage(failure.reason.clone()));
    }
    app.ctx.observe(&Event::Finished {
        handler: handler.id,
        trigger,
        message: None,
        attempt: 1,
        elapsed: started.elapsed(),
        failure: outcome.as_ref().err().map(|failure| (failure, Verdict::Answer)),
    });
    outcome.map_err(|failure| match failure.kind {
        FailureKind::Panic => Refusal::Failed(format!("the handler panicked: {}", failure.reason)),
        FailureKind::Error | FailureKind::Permanent | FailureKind::Timeout | FailureKind::Skew { .. } => {
            Refusal::Failed(failure.reason)
        }
    })
}

async fn request(
    app: &App,
    method: &str,
    uri: &str,
    headers: &BTreeMap<String, String>,
    body: String,
) -> Result<Value, Refusal> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body)).map_err(|error| Refusal::Usage(format!("no request: {error}")))?;
    let Ok(response) = app.router.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| Refusal::Failed(error.to_string()))?.to_bytes();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<_, _> = head.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    Ok(json!({ "status": head.status.as_u16(), "headers": headers, "body": String::from_utf8_lossy(&body) }))
}
