//! A schedule's tick from outside: a job of the same image that sends one event and ends.

use crate::engine::Message;
use crate::registry::{self, Dispatch};
use crate::server::broker::Broker;
use crate::server::client::{self, Client};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::BTreeMap;
use updraft_wire::binding::Binding;
use updraft_wire::ids::dotted;

/// Sends the tick of the schedule `handler`.
///
/// # Errors
/// If there is no such schedule, or the broker doesn't take it.
pub(crate) async fn send(binding: &Binding, handler: &str) -> Result<(), String> {
    let handlers = registry::handlers()?;
    let schedule = handlers.get(handler).filter(|handler| matches!(handler.dispatch, Dispatch::Schedule { .. }));
    let schedule = schedule.ok_or_else(|| format!("`{handler}` is no schedule of this program"))?;
    let broker = binding.broker_url.as_deref().ok_or("the binding names no `broker_url`")?;
    let ingress = client::url(broker).map_err(|problem| format!("`broker_url`: {problem}"))?;
    let message = Message {
        id: uuid::Uuid::now_v7().to_string(),
        source: format!("//{}/schedule", binding.app),
        time: Timestamp::now(),
        schema: None,
        trace: None,
        attributes: BTreeMap::new(),
        body: Bytes::from_static(b"{}"),
    };
    let event_type = format!("{}.schedule.{}", binding.app, dotted(schedule.id));
    let broker = Broker::new(Client::new(), &binding.app, ingress);
    broker.send(&event_type, &message).await.map_err(|error| error.to_string())?;
    tracing::info!(handler, message_id = message.id, "sent a tick");
    Ok(())
}
