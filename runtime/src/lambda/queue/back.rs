//! What of a batch goes back to its queue: what comes again after a pause, and what there was no time to begin.

use super::super::record::Received;
use super::super::settle::{Fate, in_time};
use super::super::{Unit, left};
use super::{AT_ONCE, From};
use futures_util::{StreamExt, stream};
use std::time::Duration;

impl Unit {
    /// Puts what was not begun back, so that it spends no receive: SQS gives up what was received often enough, tried or not.
    /// A FIFO queue's messages would lose their places; they, and what can't be put back, come again as they are.
    pub(super) async fn put_back(&self, from: From<'_>, all: &[Received], fates: &mut [Fate]) {
        let unbegun = || (0..all.len()).filter(|place| fates[*place] == Fate::Unbegun);
        // Without metadata that can be read it would become a message of its own.
        let movable = |place: &usize| all[*place].group.is_none() && all[*place].unreadable.is_none();
        let (moved, stays): (Vec<usize>, Vec<usize>) = unbegun().partition(movable);
        let mut fate = Fate::Done;
        if !moved.is_empty() {
            tracing::warn!(
                handler = from.handler.id,
                messages = moved.len(),
                "the batch was more than there is time for"
            );
            let messages = moved.iter().map(|place| all[*place].back()).collect();
            if let Err(error) = in_time(from.ends.all, self.queues.put(from.queue, messages, Duration::ZERO)).await {
                tracing::error!(handler = from.handler.id, %error, "what was not begun could not be put back");
                fate = Fate::Again(Duration::ZERO);
            }
        }
        moved.into_iter().for_each(|place| fates[place] = fate);
        stays.into_iter().for_each(|place| fates[place] = Fate::Again(Duration::ZERO));
    }

    /// Says when what comes again is seen again. Where that can't be said, it is when its visibility ends by itself.
    pub(super) async fn hide(&self, from: From<'_>, all: &[Received], fates: &[Fate]) {
        let hide = |(place, fate): (usize, Fate)| async move {
            let Fate::Again(pause) = fate else { return };
            let received = &all[place];
            if let Err(error) = self.queues.hide(from.queue, &received.receipt, pause).await {
                let id = &received.message.id;
                tracing::warn!(handler = from.handler.id, message_id = id, %error, "its pause could not be set");
            }
        };
        let hidden = stream::iter(fates.iter().copied().enumerate()).map(hide).buffer_unordered(AT_ONCE);
        if tokio::time::timeout(left(from.ends.all), hidden.collect::<()>()).await.is_err() {
            tracing::warn!(handler = from.handler.id, "there was no time to set all pauses");
        }
    }
}
