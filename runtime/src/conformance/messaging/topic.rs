//! What every topic does.

use super::handlers::{ALL_NEWS, EUROPEAN_NEWS, How, NO_NEWS, RETRIES, Task};
use super::{Suite, begun, is_done, message};
use crate::engine::Channel;
use std::time::Duration;

const NEWS: Channel = Channel::Topic("news");

impl Suite<'_> {
    pub(super) async fn each_subscriber_has_its_own_copy(&self) {
        let tasks = [Task::default(), Task { fails: 1, how: How::Error, takes: 0 }];
        let attributes = [("region", "eu"), ("kind", "refused")];
        let messages = tasks.map(|task| message(&task, &attributes));
        let ids = messages.clone().map(|message| message.id);
        self.publish(NEWS, messages.to_vec(), Duration::ZERO).await;
        self.rig.settle().await;
        for handler in [ALL_NEWS, EUROPEAN_NEWS] {
            let notes = self.noted(handler.id, &ids).await;
            for id in &ids {
                assert!(is_done(&notes, id), "{} did not get {id}", handler.id);
            }
            if self.declares.attempts {
                assert_eq!([0, 1].map(|at| begun(&notes, &ids[at]).len()), [1, 2], "{} counts for itself", handler.id);
            }
        }
        let refused = self.noted(NO_NEWS.id, &ids).await;
        assert!(refused.iter().all(|note| note.end != Some(true)));
        assert!(ids.iter().all(|id| begun(&refused, id).len() > RETRIES as usize), "it has retries of its own");
        let letters = self.letters(&ids).await;
        assert_eq!(letters.len(), ids.len(), "one of each: {letters:?}");
        for letter in letters {
            assert_eq!((letter.handler.as_str(), letter.resource.as_str()), (NO_NEWS.id, "news"));
            assert_eq!(letter.message().attributes.get("region").map(String::as_str), Some("eu"), "{letter:?}");
        }
    }

    pub(super) async fn subscribers_filter(&self) {
        let regions = [Some("eu"), Some("us"), Some("EU"), Some("eu "), None];
        let messages = regions.map(|region| {
            let attributes: Vec<_> = region.map(|region| ("region", region)).into_iter().collect();
            message(&Task::default(), &attributes)
        });
        let ids = messages.clone().map(|message| message.id);
        self.publish(NEWS, messages.to_vec(), Duration::ZERO).await;
        self.rig.settle().await;
        let all = self.noted(ALL_NEWS.id, &ids).await;
        let (european, refused) = (self.noted(EUROPEAN_NEWS.id, &ids).await, self.noted(NO_NEWS.id, &ids).await);
        for (at, id) in ids.iter().enumerate() {
            assert!(is_done(&all, id), "{:?}", regions[at]);
            assert_eq!(is_done(&european, id), at == 0, "{:?}", regions[at]);
        }
        assert!(refused.is_empty(), "an attribute that is absent equals nothing");
    }

    pub(super) async fn redriving_reaches_the_one_that_gave_up(&self) {
        let messages = vec![message(&Task::default(), &[("kind", "refused")])];
        let ids = [messages[0].id.clone()];
        self.publish(NEWS, messages, Duration::ZERO).await;
        let before = self.settled(NO_NEWS.id, &ids).await;
        let letters = self.letters(&ids).await;
        assert_eq!(letters.len(), 1);
        self.rig.redrive(&letters[0]).await;
        let after = self.settled(NO_NEWS.id, &ids).await;
        let tries = (begun(&before, &ids[0]).len(), begun(&after, &ids[0]).len());
        assert_eq!(tries.1, tries.0 + 1 + RETRIES as usize, "it has all its attempts again");
        assert_eq!(begun(&self.noted(ALL_NEWS.id, &ids).await, &ids[0]).len(), 1, "nobody else got it again");
        assert_eq!(self.letters(&ids).await.len(), 1, "given up again");
    }
}
