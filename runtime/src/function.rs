//! `Function<F>`: calling another handler, in this process or (in a test) a closure that stands in for it.

mod arguments;

use crate::capability::{Capability, Resource, Sealed};
use crate::ctx::{Event, Invocation, Operation, Scope, Verdict};
use crate::dispatch::{Failure, FailureKind, panic_message};
use crate::engine::{BoxFuture, EngineError};
use crate::error::Error;
use crate::registry::Handler;
use crate::telemetry::current::within;
use crate::telemetry::{TraceContext, spans};
use arguments::{decode_arguments, encode_arguments};
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::FutureExt;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use arguments::{Arguments, Traveller, Travels, travels};

/// Implemented by the type that `#[function]` puts beside the function, under the same name.
#[diagnostic::on_unimplemented(message = "`{Self}` is no function", label = "needs a handler with `#[function]`")]
pub trait FunctionResource: Resource + Clone + Send + Sync {
    /// What callers send, as nested pairs: `(String, (u32, ()))`.
    type Arguments: Arguments;
    /// What comes back.
    type Output: Serialize + DeserializeOwned + Send + 'static;
    /// What comes back if it fails.
    type Error: FunctionError;
    /// Whether a call that did not get through may be tried again: `#[function(idempotent)]`.
    const IDEMPOTENT: bool = false;
    /// How the arguments travel: `(travels::<String>("sku"), (travels::<u32>("quantity"), ()))`. Their names are wire format.
    #[doc(hidden)]
    fn travellers() -> <Self::Arguments as Arguments>::Travellers;
    #[doc(hidden)]
    fn handler() -> &'static Handler;
    #[doc(hidden)]
    fn dispatch(scope: Scope, arguments: Self::Arguments) -> BoxFuture<'static, Outcome<Self>>;
    #[doc(hidden)]
    fn with(caller: Caller<Self>) -> Self;
}

/// What a function returns.
pub type Outcome<F> = Result<<F as FunctionResource>::Output, <F as FunctionResource>::Error>;

/// A function's own error, as it travels: any serialisable one, or [`Error`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a `#[function]`",
    label = "can't travel to a caller",
    note = "an error that travels derives `serde::Serialize` and `serde::Deserialize` (or `#[updraft::data]`), or is `updraft::Error`"
)]
pub trait FunctionError: fmt::Display + fmt::Debug + Send + Sized + 'static {
    #[doc(hidden)]
    fn to_value(&self) -> serde_json::Result<Value>;
    #[doc(hidden)]
    fn from_value(value: Value) -> serde_json::Result<Self>;
    /// The same for whoever does not know its type: its words; of an [`Error`], all that it is.
    #[doc(hidden)]
    fn into_error(self) -> Error;
}

impl<E: std::error::Error + Serialize + DeserializeOwned + Send + 'static> FunctionError for E {
    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn from_value(value: Value) -> serde_json::Result<Self> {
        serde_json::from_value(value)
    }

    fn into_error(self) -> Error {
        let mut words = self.to_string();
        let mut source = std::error::Error::source(&self);
        while let Some(error) = source {
            words = format!("{words}: {error}");
            source = error.source();
        }
        Error::new(words)
    }
}

impl FunctionError for Error {
    fn to_value(&self) -> serde_json::Result<Value> {
        Ok(serde_json::json!({
            "message": self.chain(), "status": self.status().as_u16(), "permanent": self.is_permanent()
        }))
    }

    fn from_value(value: Value) -> serde_json::Result<Self> {
        let mut error = Error::new(value["message"].as_str().unwrap_or("an error without words").to_owned());
        let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        if let Some(status) = status.and_then(|status| StatusCode::from_u16(status).ok()) {
            error = error.with_status(status);
        }
        Ok(if value["permanent"] == true { error.into_permanent() } else { error })
    }

    fn into_error(self) -> Error {
        self
    }
}

/// A call that brought no result: the function's own error, or that the call itself failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The function returned this error.
    Failed(E),
    /// It took longer than it may, or than its caller has left; with nothing left it was not begun.
    TimedOut,
    /// It panicked, in these words.
    Panicked(String),
    /// It can't be reached.
    Unavailable(EngineError),
    /// What it was sent, or sent back, can't make the trip.
    Unreadable(String),
}

impl<E> CallError<E> {
    fn map<T>(self, own: impl FnOnce(E) -> T) -> CallError<T> {
        match self {
            CallError::Failed(error) => CallError::Failed(own(error)),
            CallError::TimedOut => CallError::TimedOut,
            CallError::Panicked(words) => CallError::Panicked(words),
            CallError::Unavailable(error) => CallError::Unavailable(error),
            CallError::Unreadable(reason) => CallError::Unreadable(reason),
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Failed(error) => error.fmt(f),
            CallError::TimedOut => f.write_str("the call took too long"),
            CallError::Panicked(message) => write!(f, "the function panicked: {message}"),
            CallError::Unavailable(error) => write!(f, "the call failed: {error}"),
            CallError::Unreadable(reason) => write!(f, "the call can't make the trip: {reason}"),
        }
    }
}

/// Asks for less than `E: std::error::Error`, so that `?` also works where the function's error is [`Error`].
impl<E: fmt::Debug + fmt::Display> std::error::Error for CallError<E> {}

/// How calls get there.
pub enum Caller<F: FunctionResource> {
    /// In this process, on behalf of this invocation.
    InProcess(Scope),
    /// Answered by a test.
    Stub(Arc<dyn Fn(F::Arguments) -> Outcome<F> + Send + Sync>),
}

impl<F: FunctionResource> Clone for Caller<F> {
    fn clone(&self) -> Self {
        match self {
            Caller::InProcess(scope) => Caller::InProcess(scope.clone()),
            Caller::Stub(answer) => Caller::Stub(answer.clone()),
        }
    }
}

impl<F: FunctionResource> fmt::Debug for Caller<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", F::ID)
    }
}

impl<F: FunctionResource> Caller<F> {
    /// Calls: what the generated `call` does.
    ///
    /// # Errors
    /// The function's own error, or why the call failed.
    pub async fn call(&self, arguments: F::Arguments) -> Result<F::Output, CallError<F::Error>> {
        let scope = match self {
            Caller::Stub(answer) => return answer(arguments).map_err(CallError::Failed),
            Caller::InProcess(scope) => scope,
        };
        let operation = Operation { kind: "function", resource: F::ID, access: "call", method: "call" };
        scope.check(operation).map_err(CallError::Unavailable)?;
        let travels = scope.ctx().serialises_calls();
        let arguments = match travels || F::IDEMPOTENT {
            true => {
                let sent = encode_arguments::<F>(&arguments).map_err(unreadable)?;
                let again = || decode_arguments::<F>(&sent).map_err(CallError::Unreadable);
                for _ in 1..if F::IDEMPOTENT { IDEMPOTENT_ATTEMPTS } else { 1 } {
                    match reached::<F>(scope, again()?).await {
                        Err(CallError::Panicked(_)) => {}
                        outcome => return returned::<F>(outcome, travels),
                    }
                }
                again()?
            }
            false => arguments,
        };
        returned::<F>(reached::<F>(scope, arguments).await, travels)
    }
}

/// How often a call of an idempotent function is tried in all. It is the call that is tried again, never an error that the
/// function returned, and each attempt keeps to the caller's deadline.
const IDEMPOTENT_ATTEMPTS: u32 = 3;

fn unreadable<E>(error: serde_json::Error) -> CallError<E> {
    CallError::Unreadable(error.to_string())
}

/// What comes back from a call; by way of JSON if it `travels`.
fn returned<F: FunctionResource>(
    outcome: Result<F::Output, CallError<F::Error>>,
    travels: bool,
) -> Result<F::Output, CallError<F::Error>> {
    match outcome {
        Ok(output) if travels => {
            let sent = serde_json::to_vec(&output).map_err(unreadable)?;
            serde_json::from_slice(&sent).map_err(unreadable)
        }
        Err(CallError::Failed(error)) if travels => {
            let sent = error.to_value().map_err(unreadable)?;
            Err(CallError::Failed(F::Error::from_value(sent).map_err(unreadable)?))
        }
        outcome => outcome,
    }
}

/// One call, whose caller may be lost on the way there or back.
async fn reached<F: FunctionResource>(
    caller: &Scope,
    arguments: F::Arguments,
) -> Result<F::Output, CallError<F::Error>> {
    let call = async {
        Ok(match caller.ctx().engines().functions.find(F::ID) {
            Some(remote) => invoke_away::<F>(caller, &**remote, &arguments).await,
            None => invoke::<F>(caller, arguments).await,
        })
    };
    caller.step(("call", F::ID, &[]), call).await.unwrap_or_else(|lost| Err(CallError::Unavailable(lost)))
}

/// One call of a function that another process runs. Its own time holds there; what its caller has left is told.
async fn invoke_away<F: FunctionResource>(
    caller: &Scope,
    remote: &dyn Remote,
    arguments: &F::Arguments,
) -> Result<F::Output, CallError<F::Error>> {
    let ctx = caller.ctx();
    let deadline = caller.invocation().deadline;
    let left = Duration::try_from(ctx.clock().now().duration_until(deadline)).unwrap_or_default();
    if left.is_zero() {
        return Err(CallError::TimedOut);
    }
    let mut object = Map::new();
    arguments.write(&F::travellers(), &mut object).map_err(unreadable)?;
    let (trace, mut span) = spans::call_away(ctx, F::ID, caller.invocation().trace.as_ref());
    let call = remote.call(F::ID, Outgoing { deadline, trace, arguments: Value::Object(object) });
    let outcome = match ctx.within((left, deadline), call).await {
        Some(Ok(value)) => serde_json::from_value(value).map_err(unreadable),
        Some(Err(CallError::Failed(value))) => Err(match F::Error::from_value(value) {
            Ok(error) => CallError::Failed(error),
            Err(error) => CallError::Unreadable(format!("the function's error: {error}")),
        }),
        Some(Err(CallError::TimedOut)) | None => Err(CallError::TimedOut),
        Some(Err(CallError::Panicked(words))) => Err(CallError::Panicked(words)),
        Some(Err(CallError::Unavailable(error))) => Err(CallError::Unavailable(error)),
        Some(Err(CallError::Unreadable(reason))) => Err(CallError::Unreadable(reason)),
    };
    if let Err(error) = &outcome {
        spans::call_failed(&mut span, error);
    }
    outcome
}

/// One call in this process: the deadline is the callee's own or what its caller has left, whichever comes first.
async fn invoke<F: FunctionResource>(
    caller: &Scope,
    arguments: F::Arguments,
) -> Result<F::Output, CallError<F::Error>> {
    let (ctx, handler, started) = (caller.ctx(), F::handler(), Instant::now());
    let own = ctx.deadline(Duration::from_millis(handler.timeout_millis));
    let deadline = own.min(caller.invocation().deadline);
    let left = Duration::try_from(ctx.clock().now().duration_until(deadline)).unwrap_or_default();
    let (trace, mut span) = spans::call(ctx, handler, caller.invocation().trace.as_ref());
    let scope = ctx.scope(handler, Invocation { deadline, trace });
    let work = AssertUnwindSafe(within(scope.clone(), None, F::dispatch(scope, arguments))).catch_unwind();
    // With nothing left it is not even begun: a timer would let it run to its first wait.
    let ended = if left.is_zero() { None } else { ctx.within((left, deadline), work).await };
    let (outcome, kind) = match ended {
        Some(Ok(Ok(output))) => (Ok(output), FailureKind::Error),
        Some(Ok(Err(error))) => (Err(CallError::Failed(error)), FailureKind::Error),
        Some(Err(panic)) => (Err(CallError::Panicked(panic_message(&*panic))), FailureKind::Panic),
        None => (Err(CallError::TimedOut), FailureKind::Timeout),
    };
    let failure = outcome.as_ref().err().map(|error| Failure { kind, reason: error.to_string() });
    failure.iter().for_each(|failure| spans::failed(&mut span, failure));
    ctx.observe(&Event::Finished {
        handler: handler.id,
        trigger: "function",
        message: None,
        attempt: 1,
        elapsed: started.elapsed(),
        failure: failure.as_ref().map(|failure| (failure, Verdict::Answer)),
    });
    outcome
}

/// What a call from outside brings: the result's JSON.
pub type Answered = Result<Bytes, CallError<Returned>>;

/// A function's own error, for whoever does not know its type: [`FunctionError::into_error`], and how it travels to whoever
/// does.
#[derive(Debug)]
pub struct Returned {
    error: Error,
    value: Option<Value>,
}

impl Returned {
    fn of(error: impl FunctionError) -> Self {
        let value = error.to_value().ok();
        Returned { error: error.into_error(), value }
    }

    /// What a caller of the function makes its error of.
    pub fn value(self) -> Option<Value> {
        self.value
    }
}

impl Deref for Returned {
    type Target = Error;

    fn deref(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// A call on its way to another process.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Until when its caller waits.
    pub deadline: Timestamp,
    /// Its span.
    pub trace: Option<TraceContext>,
    /// An object: argument → value.
    pub arguments: Value,
}

/// Reaches functions that another process runs.
pub trait Remote: Send + Sync + 'static {
    /// Calls one, and waits for what it returned: as it travels.
    fn call<'a>(&'a self, function: &'a str, call: Outgoing) -> BoxFuture<'a, Result<Value, CallError<Value>>>;
}

/// A call from outside (`invoke`, tests), on behalf of `caller`: a JSON object of argument names in, the result's JSON out. It
/// is a call like any other: deadline, panics and errors are those of [`Caller::call`].
pub fn call_with_json<F: FunctionResource>(caller: Scope, body: Bytes) -> BoxFuture<'static, Answered> {
    Box::pin(async move {
        let arguments = decode_arguments::<F>(&body).map_err(CallError::Unreadable)?;
        match invoke::<F>(&caller, arguments).await {
            Ok(output) => match serde_json::to_vec(&output) {
                Ok(json) => Ok(json.into()),
                Err(error) => {
                    let error = Error::new(error).with_context("the result has no JSON");
                    Err(CallError::Failed(Returned::of(error)))
                }
            },
            Err(error) => Err(error.map(Returned::of)),
        }
    })
}

/// The capability. The method `call`, with the function's own arguments, comes from `F` through `Deref`.
#[derive(Clone, Debug)]
pub struct Function<F>(F);

impl<F: FunctionResource> Function<F> {
    /// A function that is answered by a closure: for unit tests.
    pub fn stub(answer: impl Fn(F::Arguments) -> Outcome<F> + Send + Sync + 'static) -> Self {
        Function(F::with(Caller::Stub(Arc::new(answer))))
    }
}

impl<F> Deref for Function<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.0
    }
}

impl<F: FunctionResource> Sealed for Function<F> {}

impl<F: FunctionResource> Capability for Function<F> {
    const KIND: &'static str = "function";
    const RESOURCE: &'static str = F::ID;
    const ACCESS: &'static str = "call";

    fn bind(scope: &Scope) -> Self {
        Function(F::with(Caller::InProcess(scope.clone())))
    }
}

/// A closure over a function's arguments, `|sku, quantity| …`, as [`Function::stub`] takes it.
pub trait Answer<Arguments, Output> {
    /// Answers.
    fn answer(&self, arguments: Arguments) -> Output;
}

macro_rules! answers {
    ($([$($name:ident),*] $pairs:ty, $pattern:tt;)*) => {$(
        #[allow(non_snake_case)]
        impl<Closure: Fn($($name),*) -> Output, Output, $($name),*> Answer<$pairs, Output> for Closure {
            fn answer(&self, $pattern: $pairs) -> Output {
                self($($name),*)
            }
        }
    )*};
}
answers! {
    [] (), ();
    [A] (A, ()), (A, ());
    [A, B] (A, (B, ())), (A, (B, ()));
    [A, B, C] (A, (B, (C, ()))), (A, (B, (C, ())));
    [A, B, C, D] (A, (B, (C, (D, ())))), (A, (B, (C, (D, ()))));
    [A, B, C, D, E] (A, (B, (C, (D, (E, ()))))), (A, (B, (C, (D, (E, ())))));
    [A, B, C, D, E, F] (A, (B, (C, (D, (E, (F, ())))))), (A, (B, (C, (D, (E, (F, ()))))));
}
