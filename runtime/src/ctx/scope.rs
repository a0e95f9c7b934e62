//! [`Scope`]: the application as one invocation of one handler sees it.

use super::{Ctx, Event};
use crate::engine::{BucketEngine, Channel, EngineError, EngineResult, Message, StoreEngine};
use crate::faults::{Attempt, Faults, Moment, Operation, Step};
use crate::registry::Handler;
use crate::telemetry::{Held, Span, TraceContext, spans};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is known of one invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When it is given up.
    pub deadline: Timestamp,
    /// Its own span in the trace that it belongs to or, where nothing is traced, what caused it.
    pub trace: Option<TraceContext>,
}

/// The application as one invocation of one handler sees it: every reach is checked against the handler's grants, with
/// the compiler's words. (The types make that impossible to fail; the check is there for what types can't see.)
#[derive(Clone)]
pub struct Scope(Arc<ScopeInner>);

struct ScopeInner {
    ctx: Ctx,
    handler: &'static Handler,
    invocation: Invocation,
}

impl Scope {
    pub(super) fn new(ctx: Ctx, handler: &'static Handler, invocation: Invocation) -> Self {
        Scope(Arc::new(ScopeInner { ctx, handler, invocation }))
    }

    /// The handler that runs.
    pub fn handler(&self) -> &'static Handler {
        self.0.handler
    }

    /// The application. Not for user code.
    pub fn ctx(&self) -> &Ctx {
        &self.0.ctx
    }

    /// This invocation.
    pub fn invocation(&self) -> &Invocation {
        &self.0.invocation
    }

    /// Refuses what the handler has no grant for, and what a test wants to fail. Every capability's method begins so.
    ///
    /// # Errors
    /// If the grant is missing, or a test's fault strikes.
    pub fn check(&self, operation: Operation) -> EngineResult<()> {
        if !self.0.handler.grants(operation.kind, operation.resource, operation.access) {
            return Err(EngineError::Misconfigured(format!(
                "`{}` reaches {} `{}` ({}), but no parameter declares it",
                self.0.handler.id, operation.kind, operation.resource, operation.access
            )));
        }
        match &self.0.ctx.0.faults {
            Some(faults) => faults.before(self.0.handler.id, operation),
            None => Ok(()),
        }
    }

    /// A message of this body and schema as the handler sends it, with its metadata.
    pub fn envelope(&self, body: Bytes, schema: &str, attributes: BTreeMap<String, String>) -> Message {
        Message {
            id: self.ctx().message_id(),
            source: updraft_wire::ids::event_source(self.ctx().app(), self.handler().id),
            time: self.ctx().clock().now(),
            schema: Some(schema.to_owned()),
            trace: self.invocation().trace.clone(),
            attributes,
            body,
        }
    }

    /// Sends.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn publish(&self, channel: Channel, mut messages: Vec<Message>, delay: Duration) -> EngineResult<()> {
        let mut span = match self.ctx().tracer() {
            Some(tracer) => spans::send(tracer, self.invocation().trace.as_ref(), channel, &mut messages),
            None => Span::none(),
        };
        for message in &messages {
            self.ctx().observe(&Event::Sent { handler: self.handler().id, channel, message });
        }
        let sent = match &self.ctx().0.faults {
            Some(faults) => self.publish_with(faults, channel, messages, delay).await,
            None => self.ctx().engines().messaging.publish(channel, messages, delay).await,
        };
        sent.inspect_err(|error| spans::refused(&mut span, error))
    }

    /// Sends message by message, each as the faults have it travel.
    async fn publish_with(
        &self,
        faults: &Arc<dyn Faults>,
        channel: Channel,
        messages: Vec<Message>,
        delay: Duration,
    ) -> EngineResult<()> {
        let key = messages.first().map(|message| message.id.clone()).unwrap_or_default();
        let publish = async {
            for message in messages {
                let travel = faults.travel(channel, &message);
                let late = delay.saturating_add(travel.late);
                let messaging = &self.ctx().engines().messaging;
                messaging.publish(channel, vec![message.clone()], late).await?;
                if let Some(later) = travel.again {
                    messaging.publish(channel, vec![message], late.saturating_add(later)).await?;
                }
            }
            Ok(())
        };
        self.step(("publish", channel.id(), key.as_bytes()), publish).await
    }

    /// The engine of a store.
    ///
    /// # Errors
    /// If none is bound.
    pub fn store(&self, id: &'static str) -> EngineResult<Held<'_, dyn StoreEngine>> {
        let engine = self.ctx().engines().stores.find(id).ok_or_else(|| unbound("store", id))?;
        Ok(Held::store(self, engine, id))
    }

    /// The engine of a bucket.
    ///
    /// # Errors
    /// If none is bound.
    pub fn bucket(&self, id: &'static str) -> EngineResult<Held<'_, dyn BucketEngine>> {
        let engine = self.ctx().engines().buckets.find(id).ok_or_else(|| unbound("bucket", id))?;
        Ok(Held::bucket(self, engine, id))
    }

    /// One step of the attempt around `work`, which begins when the step does. Without faults, and where no attempt is under
    /// way (the test itself), it is the work alone.
    pub(crate) async fn step<T>(
        &self,
        (method, resource, key): (&'static str, &str, &[u8]),
        work: impl Future<Output = EngineResult<T>>,
    ) -> EngineResult<T> {
        let Some(faults) = &self.ctx().0.faults else { return work.await };
        let Some(attempt) = Attempt::current() else { return work.await };
        let step = Step { number: attempt.next_step(), method, resource, key };
        faults.step(&attempt, step, Moment::Before).await?;
        let answer = work.await?;
        faults.step(&attempt, step, Moment::After).await?;
        Ok(answer)
    }
}

fn unbound(kind: &str, id: &str) -> EngineError {
    EngineError::Misconfigured(format!("the binding names no engine for the {kind} `{id}`"))
}
