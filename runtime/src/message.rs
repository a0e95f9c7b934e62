//! Parameters of handlers that the runtime starts by itself: consumers, subscribers, schedules.

use crate::batch::{Batch, Report};
use crate::capability::{QueueResource, Sealed, TopicResource};
use crate::ctx::Scope;
use crate::engine::{self, BoxFuture};
use crate::error::{Boxed, Error, Result};
use crate::grants::Argument;
use crate::registry::{Incoming, Tick};
use crate::schema::{Forms, Unread};
use jiff::Timestamp;
use std::time::Duration;
use updraft_wire::defaults::SKEW_SECONDS;

/// What is known of a message's delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    id: String,
    attempt: Option<u32>,
    published_at: Timestamp,
    deadline: Timestamp,
}

impl Delivery {
    /// Of these values: for unit tests that call handlers directly.
    pub fn of(id: impl Into<String>, attempt: Option<u32>, published_at: Timestamp, deadline: Timestamp) -> Self {
        Delivery { id: id.into(), attempt, published_at, deadline }
    }

    /// The message's id, a UUIDv7 that retries keep.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Counted from 1, where the engine knows it (Knative's broker does not say).
    pub fn attempt(&self) -> Option<u32> {
        self.attempt
    }

    /// When it was sent.
    pub fn published_at(&self) -> Timestamp {
        self.published_at
    }

    /// When this attempt is given up.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }
}

/// One trait for the consumer's two rules (a queue; its message), so that breaking either gives one error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no queue of `{Message}` messages",
    label = "not what the first parameter takes",
    note = "`#[consumer(…)]` names a queue, and the handler's first parameter has the queue's message type"
)]
pub trait Delivers<Message>: QueueResource<Message = Message> {}

/// How a queue's messages are read. A value of this type is the proof that `Q` is a queue of them.
pub fn delivered<Q: Delivers<Message>, Message: 'static>() -> Read<Message> {
    of_queue::<Q>()
}

/// Reads messages.
pub struct Read<Message: 'static> {
    forms: &'static Forms<Message>,
    skew: Duration,
}

impl<Message> Read<Message> {
    pub(crate) fn of(forms: &'static Forms<Message>) -> Self {
        Read { forms, skew: Duration::from_secs(SKEW_SECONDS.into()) }
    }

    /// The same; a message of a newer version is returned for so many seconds.
    #[must_use]
    pub fn within(self, seconds: u64) -> Self {
        Read { skew: Duration::from_secs(seconds), ..self }
    }

    /// Reads a message. What is none of its type now won't be one at the next attempt: permanent. Unless its schema is one
    /// that this program doesn't know: then a newer version is being rolled out, which will.
    ///
    /// # Errors
    /// Where and why it is no such message.
    pub(crate) fn read(&self, message: &engine::Message, now: Timestamp) -> Result<Message> {
        self.forms.read(message).map_err(|Unread { error, unknown }| {
            let error = Error::new(error).with_context(UNREADABLE);
            if unknown { newer(error, message, now, self.skew) } else { error.into_permanent() }
        })
    }
}

/// That a message is of a version that this program can't read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// Until when it is returned; `None` if that was long enough.
    pub(crate) until: Option<Timestamp>,
}

/// The attribute that says until when a message is returned.
pub(crate) const SKEW_UNTIL: &str = "skewuntil";
/// The attribute that names the one handler that a message is for.
pub(crate) const HANDLER: &str = "handler";

fn newer(error: Error, message: &engine::Message, now: Timestamp, patience: Duration) -> Error {
    let schema = message.schema.as_deref().unwrap_or_default();
    let noted = message.attributes.get(SKEW_UNTIL).and_then(|until| until.parse::<Timestamp>().ok());
    let until = noted.unwrap_or_else(|| now.saturating_add(patience).unwrap_or(Timestamp::MAX));
    if now < until {
        let context = format!("its schema {schema} is a newer version's; it is returned until {until:.0}");
        return error.with_context(context).of_skew(Skew { until: Some(until) });
    }
    let context =
        format!("its schema {schema} is unknown here, and no newer version of the program took it by {until:.0}");
    error.with_context(context).of_skew(Skew { until: None })
}

/// [`Delivers`], for topics.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no topic of `{Message}` messages",
    label = "not what the first parameter takes",
    note = "`#[subscriber(…)]` names a topic, and the handler's first parameter has the topic's message type"
)]
pub trait Publishes<Message>: TopicResource<Message = Message> {}

/// [`delivered`], for topics.
pub fn published<T: Publishes<Message>, Message: 'static>() -> Read<Message> {
    of_topic::<T>()
}

// Apart, because what is known of a resource's own message type is not known of one that is equal to it.
fn of_queue<Q: QueueResource>() -> Read<Q::Message> {
    Read::of(Q::forms())
}

fn of_topic<T: TopicResource>() -> Read<T::Message> {
    Read::of(T::forms())
}

/// How the reason begins when a message is none of its type.
pub(crate) const UNREADABLE: &str = "the message can't be read";

/// What a consumer or subscriber takes besides the message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter here",
    label = "no capability, no `With<…>` and no `Delivery`",
    note = "axum's extractors and the types of `#[extractor]`s work in `#[http]` handlers only"
)]
pub trait MessageArgument: Sealed + Sized {
    #[doc(hidden)]
    fn bind(given: &Given) -> Self;
}

impl<A: Argument> MessageArgument for A {
    fn bind(given: &Given) -> Self {
        Argument::bind(&given.scope)
    }
}

impl Sealed for Delivery {}

impl MessageArgument for Delivery {
    fn bind(given: &Given) -> Self {
        given.delivery.clone()
    }
}

/// What an invocation's arguments are made of.
pub struct Given {
    scope: Scope,
    delivery: Delivery,
}

/// One argument of a consumer or subscriber, for expansions.
pub fn message_argument<A: MessageArgument>(given: &Given) -> A {
    A::bind(given)
}

/// Everything between a message and a handler's outcome, whatever error type the handler has.
pub fn consume<Message, H, F, E>(
    scope: Scope,
    incoming: Incoming,
    read: Read<Message>,
    handler: H,
) -> BoxFuture<'static, Result<()>>
where
    Message: Send + 'static,
    H: FnOnce(Message, &Given) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Into<Boxed>,
{
    Box::pin(async move {
        let Incoming { message, attempt } = incoming;
        let decoded = read.read(&message, scope.ctx().clock().now())?;
        let deadline = scope.invocation().deadline;
        let delivery = Delivery { id: message.id, attempt, published_at: message.time, deadline };
        handler(decoded, &Given { scope, delivery }).await.map_err(Error::new)
    })
}

/// Everything between several messages and a handler's outcome. What is no message of the queue is reported so, and the
/// handler gets the others; if there are none it is not called.
pub fn consume_batch<Message, H, F, E>(
    scope: Scope,
    incoming: Vec<Incoming>,
    report: Report,
    read: Read<Message>,
    handler: H,
) -> BoxFuture<'static, Result<()>>
where
    Message: Send + 'static,
    H: FnOnce(Batch<Message>, &Given) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Into<Boxed>,
{
    Box::pin(async move {
        let deadline = scope.invocation().deadline;
        let mut items = Vec::with_capacity(incoming.len());
        for (place, Incoming { message, attempt }) in incoming.into_iter().enumerate() {
            let decoded = read.read(&message, scope.ctx().clock().now());
            let delivery = Delivery { id: message.id, attempt, published_at: message.time, deadline };
            match decoded {
                Ok(decoded) => items.push((place, decoded, delivery)),
                Err(error) => report.set(place, Err(error)),
            }
        }
        let Some((_, _, delivery)) = items.first() else { return Ok(()) };
        // An alias of `Delivery` as a parameter gets the first one's.
        let given = Given { scope, delivery: delivery.clone() };
        handler(Batch::new(items, report), &given).await.map_err(Error::new)
    })
}

/// Everything between a tick and a schedule's outcome.
pub fn tick<H, F, E>(scope: Scope, tick: Tick, handler: H) -> BoxFuture<'static, Result<()>>
where
    H: FnOnce(Tick, &Scope) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Into<Boxed>,
{
    Box::pin(async move { handler(tick, &scope).await.map_err(Error::new) })
}
