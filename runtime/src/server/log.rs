//! What happens, in the log: each request and message at `debug` (`UPDRAFT_LOG=debug`), since a busy unit has many. Failures
//! are logged where they are answered.

use crate::ctx::{Event, Observer};

/// Writes events into the log.
pub(crate) struct Log;

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        if !self.watches_requests() {
            return;
        }
        match event {
            Event::Answered { handler, method, path, status, elapsed } => {
                tracing::debug!(handler, method, path, status, ?elapsed, "answered");
            }
            Event::Sent { handler, channel, message } => {
                tracing::debug!(handler, channel = channel.id(), message_id = message.id, "sent");
            }
            Event::Finished { handler, trigger, message, elapsed, failure, .. } => {
                let failed = failure.is_some();
                tracing::debug!(handler, trigger, message_id = message, ?elapsed, failed, "finished");
            }
            Event::Operated { handler, kind, resource, method, elapsed, error } => {
                let failed = error.is_some();
                tracing::debug!(handler, kind, resource, method, ?elapsed, failed, "operated");
            }
            // Begun is finished in the end, dead letters are logged where they are kept, and servers have neither
            // chaos nor stand-ins.
            Event::Began { .. } | Event::Buried { .. } | Event::Injected { .. } | Event::StoodIn { .. } => {}
        }
    }

    fn watches_requests(&self) -> bool {
        tracing::enabled!(tracing::Level::DEBUG)
    }
}
