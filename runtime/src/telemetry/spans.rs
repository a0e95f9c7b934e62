//! Which spans there are: one function for each, so that names and attributes stand in one place.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions (HTTP, messaging, database, code, FaaS); what they don't
//! know begins with `updraft.`. Query strings, headers, bodies, keys and secrets are never recorded.

use super::context::TraceContext;
use super::span::{Kind, Span};
use super::tracer::Tracer;
use crate::ctx::Ctx;
use crate::dispatch::Failure;
use crate::engine::{Channel, EngineError, Message};
use crate::function::CallError;
use crate::registry::{Dispatch, Handler, Tick};
use axum::extract::{ConnectInfo, Request};
use http::{Version, header};
use std::net::SocketAddr;

/// A context, for what follows, and the span; without a tracer what came is passed on as it came.
type Begun = (Option<TraceContext>, Span);

/// Method and route, as far as they are known: an adopted router's own routes are not.
fn routed<'a>(handler: &'static Handler, request: &'a Request) -> Option<(&'a str, &'static str)> {
    match handler.dispatch {
        Dispatch::Http { method, route, .. } => Some((method, route)),
        Dispatch::Routes { prefix, .. } => Some((request.method().as_str(), prefix)),
        Dispatch::Consumer { .. }
        | Dispatch::Batch { .. }
        | Dispatch::Subscriber { .. }
        | Dispatch::Object { .. }
        | Dispatch::Schedule { .. }
        | Dispatch::Function { .. }
        | Dispatch::Layer { .. }
        | Dispatch::Shared { .. } => None,
    }
}

/// A request at a route.
pub(crate) fn request(ctx: &Ctx, handler: &'static Handler, request: &Request) -> Begun {
    let cause = TraceContext::of_headers(request.headers());
    let (Some(tracer), Some((method, route))) = (ctx.tracer(), routed(handler, request)) else {
        return (cause, Span::none());
    };
    let (context, mut span) = tracer.begin(cause.as_ref(), Kind::Server, || format!("{method} {route}").into());
    let header = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    span.set("http.request.method", || method.to_owned());
    span.set("http.route", || route);
    span.set("url.path", || request.uri().path().to_owned());
    span.set("url.scheme", || request.uri().scheme_str().unwrap_or("http").to_owned());
    span.set("network.protocol.version", || match request.version() {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    });
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| header(header::HOST));
    if let Some(host) = host {
        span.set("server.address", || host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned());
    }
    if let Some(agent) = header(header::USER_AGENT) {
        span.set("user_agent.original", || agent.to_owned());
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        span.set("network.peer.address", || peer.ip().to_string());
    }
    span.set("code.function.name", || handler.id);
    (Some(context), span)
}

/// A request was answered. The client's mistakes are no errors of the server.
pub(crate) fn answered(span: &mut Span, status: http::StatusCode) {
    span.set("http.response.status_code", || i64::from(status.as_u16()));
    if status.is_server_error() {
        span.fail(status.as_str().to_owned(), || status.canonical_reason().unwrap_or_default().to_owned());
    }
}

/// A delivery of messages to a handler: `process orders`. A single message's creation context is the span's parent and is
/// linked as well; of several each is linked, and none is the parent.
pub(crate) fn delivery<'a>(
    ctx: &Ctx,
    handler: &'static Handler,
    messages: impl ExactSizeIterator<Item = &'a Message> + Clone,
    attempt: Option<u32>,
) -> Begun {
    let single = (messages.len() == 1).then(|| messages.clone().next()).flatten();
    let cause = single.and_then(|message| message.trace.as_ref());
    let Some(tracer) = ctx.tracer() else { return (cause.cloned(), Span::none()) };
    let resource = resource(handler);
    let (context, mut span) = tracer.begin(cause, Kind::Consumer, || format!("process {resource}").into());
    messaging(&mut span, "process", "process", resource);
    if let Dispatch::Subscriber { .. } = handler.dispatch {
        span.set("messaging.destination.subscription.name", || handler.id);
    }
    match single {
        Some(message) => of_message(&mut span, message),
        None => span.set("messaging.batch.message_count", || messages.len() as i64),
    }
    messages.for_each(|message| span.link(message.trace.as_ref()));
    span.set("code.function.name", || handler.id);
    if let Some(attempt) = attempt {
        span.set("updraft.attempt", || i64::from(attempt));
    }
    (Some(context), span)
}

/// A schedule's run: a trace of its own, unless something fired it.
pub(crate) fn run(ctx: &Ctx, handler: &'static Handler, tick: &Tick, cause: Option<TraceContext>) -> Begun {
    let Some(tracer) = ctx.tracer() else { return (cause, Span::none()) };
    let (context, mut span) = tracer.begin(cause.as_ref(), Kind::Consumer, || format!("run {}", handler.id).into());
    span.set("faas.trigger", || "timer");
    span.set("faas.time", || tick.scheduled.to_string());
    if let Dispatch::Schedule { cron, .. } = &handler.dispatch {
        span.set("faas.cron", || *cron);
    }
    span.set("code.function.name", || handler.id);
    if let Some(attempt) = tick.attempt {
        span.set("updraft.attempt", || i64::from(attempt));
    }
    (Some(context), span)
}

/// A call of a function in this process.
pub(crate) fn call(ctx: &Ctx, handler: &'static Handler, cause: Option<&TraceContext>) -> Begun {
    let Some(tracer) = ctx.tracer() else { return (cause.cloned(), Span::none()) };
    let (context, mut span) = tracer.begin(cause, Kind::Internal, || format!("call {}", handler.id).into());
    span.set("code.function.name", || handler.id);
    (Some(context), span)
}

/// A call of a function that another process runs, from this side.
pub(crate) fn call_away(ctx: &Ctx, function: &'static str, cause: Option<&TraceContext>) -> Begun {
    let Some(tracer) = ctx.tracer() else { return (cause.cloned(), Span::none()) };
    let (context, mut span) = tracer.begin(cause, Kind::Client, || format!("call {function}").into());
    span.set("faas.invoked_name", || function);
    (Some(context), span)
}

/// A call of another process's function brought no result.
pub(crate) fn call_failed<E: std::fmt::Display>(span: &mut Span, error: &CallError<E>) {
    let kind = match error {
        CallError::Failed(_) => "error",
        CallError::TimedOut => "timeout",
        CallError::Panicked(_) => "panic",
        CallError::Unavailable(error) => error_kind(error),
        CallError::Unreadable(_) => "unreadable",
    };
    span.fail(kind, || error.to_string());
}

/// The start of a process that somebody waits for: a trace of its own, begun so long ago.
#[cfg(feature = "lambda")]
pub(crate) fn cold_start(ctx: &Ctx, unit: &str, ago: std::time::Duration) -> Span {
    let Some(tracer) = ctx.tracer() else { return Span::none() };
    let (_, mut span) = tracer.begin(None, Kind::Internal, || format!("start {unit}").into());
    span.began(ago);
    span.set("faas.coldstart", || "true");
    span
}

/// An attempt at a message, a run or a call failed.
pub(crate) fn failed(span: &mut Span, failure: &Failure) {
    span.fail(failure.kind.as_str(), || failure.reason.clone());
}

/// Sends messages: each carries the context of the span that made it. One message: of its `send` span. Of several, each has a
/// `create` span of its own, and the `send` span links them.
pub(crate) fn send(tracer: &Tracer, cause: Option<&TraceContext>, channel: Channel, messages: &mut [Message]) -> Span {
    let destination = channel.id();
    let kind = if messages.len() == 1 { Kind::Producer } else { Kind::Client };
    let (context, mut span) = tracer.begin(cause, kind, || format!("send {destination}").into());
    messaging(&mut span, "send", "send", destination);
    match messages {
        [message] => {
            of_message(&mut span, message);
            message.trace = Some(context);
        }
        messages => {
            span.set("messaging.batch.message_count", || messages.len() as i64);
            for message in messages {
                let name = || format!("create {destination}").into();
                let (created, mut create) = tracer.begin(cause, Kind::Producer, name);
                messaging(&mut create, "create", "create", destination);
                of_message(&mut create, message);
                span.link(Some(&created));
                message.trace = Some(created);
            }
        }
    }
    span
}

/// A message is put into an outbox: its creation context, which it keeps however often it is handed on.
#[cfg(feature = "postgres")]
pub(crate) fn create(ctx: &Ctx, cause: Option<&TraceContext>, channel: Channel, message: &mut Message) {
    let Some(tracer) = ctx.tracer() else { return };
    let destination = channel.id();
    let (created, mut span) = tracer.begin(cause, Kind::Producer, || format!("create {destination}").into());
    messaging(&mut span, "create", "create", destination);
    of_message(&mut span, message);
    message.trace = Some(created);
}

/// A message is handed on from an outbox to the broker: `send orders`, below its creation.
#[cfg(feature = "postgres")]
pub(crate) fn hand_on(ctx: &Ctx, channel: Channel, message: &Message) -> Span {
    let Some(tracer) = ctx.tracer() else { return Span::none() };
    let (cause, destination) = (message.trace.as_ref(), channel.id());
    let (_, mut span) = tracer.begin(cause, Kind::Client, || format!("send {destination}").into());
    messaging(&mut span, "send", "send", destination);
    of_message(&mut span, message);
    span.link(cause);
    span
}

/// A transaction of a database, from the wait for a connection to its end: `transaction ledger`.
#[cfg(feature = "postgres")]
pub(crate) fn transaction(scope: &crate::ctx::Scope, database: &'static str) -> Begun {
    let cause = scope.invocation().trace.as_ref();
    database_span(scope.ctx(), cause, Kind::Client, "transaction", database)
}

/// The wait for a connection, and the transaction's beginning: `acquire ledger`.
#[cfg(feature = "postgres")]
pub(crate) fn acquire(ctx: &Ctx, cause: Option<&TraceContext>, database: &'static str) -> Span {
    database_span(ctx, cause, Kind::Internal, "acquire", database).1
}

#[cfg(feature = "postgres")]
fn database_span(
    ctx: &Ctx,
    cause: Option<&TraceContext>,
    kind: Kind,
    operation: &'static str,
    database: &'static str,
) -> Begun {
    let Some(tracer) = ctx.tracer() else { return (cause.cloned(), Span::none()) };
    let (context, mut span) = tracer.begin(cause, kind, || format!("{operation} {database}").into());
    span.set("db.system.name", || "postgresql");
    span.set("db.namespace", || database);
    span.set("db.operation.name", || operation);
    span.set("updraft.resource.kind", || "database");
    (Some(context), span)
}

/// A message is put among the dead letters: `dead_letter orders`, beside the attempts at it.
pub(crate) fn dead_letter(ctx: &Ctx, handler: &str, resource: &str, message: &Message, (kind, reason): (&str, &str)) {
    let Some(tracer) = ctx.tracer() else { return };
    let name = || format!("dead_letter {resource}").into();
    let (_, mut span) = tracer.begin(message.trace.as_ref(), Kind::Client, name);
    messaging(&mut span, "dead_letter", "settle", resource);
    of_message(&mut span, message);
    span.link(message.trace.as_ref());
    span.set("code.function.name", || handler.to_owned());
    span.fail(kind.to_owned(), || reason.to_owned());
}

/// An operation of an engine: `get stock`.
pub(crate) fn operation(
    tracer: &Tracer,
    cause: Option<&TraceContext>,
    (kind, system): (&'static str, &'static str),
    method: &'static str,
    resource: &str,
) -> Span {
    let (_, mut span) = tracer.begin(cause, Kind::Client, || format!("{method} {resource}").into());
    span.set("db.system.name", || system);
    span.set("db.operation.name", || method);
    span.set("db.collection.name", || resource.to_owned());
    span.set("updraft.resource.kind", || kind);
    span
}

/// A request to an external. What stands in the URL beside the place is not recorded.
#[cfg(feature = "client")]
pub(crate) fn request_out(scope: &crate::ctx::Scope, method: &http::Method, url: &reqwest::Url) -> Begun {
    let cause = scope.invocation().trace.as_ref();
    let Some(tracer) = scope.ctx().tracer() else { return (cause.cloned(), Span::none()) };
    let (context, mut span) = tracer.begin(cause, Kind::Client, || method.as_str().to_owned().into());
    span.set("http.request.method", || method.as_str().to_owned());
    span.set("server.address", || url.host_str().unwrap_or_default().to_owned());
    span.set("server.port", || i64::from(url.port_or_known_default().unwrap_or_default()));
    span.set("url.full", || format!("{}{}", url.origin().ascii_serialization(), url.path()));
    (Some(context), span)
}

/// An external has answered: what is a mistake of ours is an error here.
#[cfg(feature = "client")]
pub(crate) fn answer_in(span: &mut Span, status: http::StatusCode) {
    span.set("http.response.status_code", || i64::from(status.as_u16()));
    if status.is_client_error() || status.is_server_error() {
        span.fail(status.as_str().to_owned(), || status.canonical_reason().unwrap_or_default().to_owned());
    }
}

/// An engine could not do it.
pub(crate) fn refused(span: &mut Span, error: &EngineError) {
    span.fail(error_kind(error), || error.to_string());
}

/// An engine's error as one of few words.
pub(crate) fn error_kind(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unavailable(_) => "unavailable",
        EngineError::Refused(_) => "refused",
        EngineError::TooLarge { .. } => "too_large",
        EngineError::Misconfigured(_) => "misconfigured",
        EngineError::Other(_) => "other",
    }
}

/// What a handler takes messages from.
pub(crate) fn resource(handler: &Handler) -> &'static str {
    match handler.dispatch {
        Dispatch::Consumer { queue, .. } | Dispatch::Batch { queue, .. } => queue,
        Dispatch::Subscriber { topic, .. } => topic,
        Dispatch::Object { bucket, .. } => bucket,
        Dispatch::Schedule { .. }
        | Dispatch::Http { .. }
        | Dispatch::Function { .. }
        | Dispatch::Routes { .. }
        | Dispatch::Layer { .. }
        | Dispatch::Shared { .. } => handler.id,
    }
}

fn messaging(span: &mut Span, name: &'static str, kind: &'static str, destination: &str) {
    span.set("messaging.system", || "updraft");
    span.set("messaging.operation.name", || name);
    span.set("messaging.operation.type", || kind);
    span.set("messaging.destination.name", || destination.to_owned());
}

fn of_message(span: &mut Span, message: &Message) {
    span.set("messaging.message.id", || message.id.clone());
    span.set("messaging.message.body.size", || message.body.len() as i64);
}
