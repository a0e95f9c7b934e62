//! Who takes what: the lanes in which messages wait.
//!
//! A lane is a queue of its own with its own attempts: one for each queue (its consumers compete), one for each
//! *subscriber* of a topic (each has its own copy), one for each schedule's runs.

use crate::object::ObjectEvent;
use crate::registry::{Dispatch, Handler, RESOURCES};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A lane's name: `queue/orders`, `topic/shipped/shop::mail::email`, `object/uploads/shop::thumbnail`,
/// `schedule/shop::nightly`.
pub type LaneId = Arc<str>;

/// One lane and who works it.
#[derive(Clone)]
pub struct Lane {
    /// Its name.
    pub id: LaneId,
    /// Who takes its messages.
    pub handler: &'static Handler,
    /// The queue, the topic, the bucket, or the schedule's own handler id.
    pub resource: &'static str,
    /// Attempts after the first.
    pub retries: u32,
    /// Attributes that a message must have to get here.
    pub when: &'static [(&'static str, &'static str)],
    /// How long its handler remembers what it is done with, if it does.
    pub once: Option<Duration>,
}

impl Lane {
    /// How many messages its handler takes at once, at most, and how long it waits for so many.
    pub fn batch(&self) -> Option<(usize, Duration)> {
        match self.handler.dispatch {
            Dispatch::Batch { most, window_millis, .. } => Some((most as usize, Duration::from_millis(window_millis))),
            Dispatch::Http { .. }
            | Dispatch::Consumer { .. }
            | Dispatch::Subscriber { .. }
            | Dispatch::Object { .. }
            | Dispatch::Schedule { .. }
            | Dispatch::Function { .. }
            | Dispatch::Routes { .. }
            | Dispatch::Layer { .. }
            | Dispatch::Shared { .. } => None,
        }
    }
}

/// All lanes of an application.
#[derive(Clone, Default)]
pub struct Topology {
    lanes: BTreeMap<LaneId, Lane>,
    by_topic: BTreeMap<&'static str, Vec<Lane>>,
    by_bucket: BTreeMap<&'static str, Vec<Lane>>,
    /// Queue → how long it knows a sender's id again.
    windows: BTreeMap<&'static str, Duration>,
}

/// The lane of a queue, whether or not anybody takes from it.
pub fn queue_lane(queue: &str) -> LaneId {
    format!("queue/{queue}").into()
}

impl Topology {
    /// The lanes of these handlers.
    pub fn of(handlers: impl IntoIterator<Item = &'static Handler>) -> Self {
        let mut topology = Topology::default();
        for handler in handlers {
            let (id, resource, retries, when) = match &handler.dispatch {
                Dispatch::Http { .. }
                | Dispatch::Function { .. }
                | Dispatch::Routes { .. }
                | Dispatch::Layer { .. }
                | Dispatch::Shared { .. } => continue,
                Dispatch::Consumer { queue, retries, .. } | Dispatch::Batch { queue, retries, .. } => {
                    (queue_lane(queue), *queue, *retries, &[][..])
                }
                Dispatch::Subscriber { topic, when, retries, .. } => {
                    (format!("topic/{topic}/{}", handler.id).into(), *topic, *retries, *when)
                }
                Dispatch::Object { bucket, retries, .. } => {
                    (format!("object/{bucket}/{}", handler.id).into(), *bucket, *retries, &[][..])
                }
                Dispatch::Schedule { retries, .. } => {
                    (format!("schedule/{}", handler.id).into(), handler.id, *retries, &[][..])
                }
            };
            let lane = Lane { id, handler, resource, retries, when, once: handler.once() };
            if let Dispatch::Subscriber { topic, .. } = &handler.dispatch {
                topology.by_topic.entry(topic).or_default().push(lane.clone());
            }
            if let Dispatch::Object { bucket, .. } = &handler.dispatch {
                topology.by_bucket.entry(bucket).or_default().push(lane.clone());
            }
            topology.lanes.insert(lane.id.clone(), lane);
        }
        topology
    }

    /// The lanes that are told of what happens to a blob.
    pub fn told(&self, bucket: &str, what: ObjectEvent, key: &str) -> Vec<LaneId> {
        let lanes = self.by_bucket.get(bucket).map_or(&[][..], Vec::as_slice).iter();
        let wants = |lane: &&Lane| match &lane.handler.dispatch {
            Dispatch::Object { event, prefix, suffix, .. } => {
                *event == what && key.starts_with(prefix) && key.ends_with(suffix)
            }
            Dispatch::Http { .. }
            | Dispatch::Consumer { .. }
            | Dispatch::Batch { .. }
            | Dispatch::Subscriber { .. }
            | Dispatch::Schedule { .. }
            | Dispatch::Function { .. }
            | Dispatch::Routes { .. }
            | Dispatch::Layer { .. }
            | Dispatch::Shared { .. } => false,
        };
        lanes.filter(wants).map(|lane| lane.id.clone()).collect()
    }

    /// What the program's queues declare.
    #[must_use]
    pub fn declared(mut self) -> Self {
        for queue in RESOURCES.iter().filter(|resource| resource.kind == "queue") {
            if let Some(seconds) = queue.option("dedup").and_then(|seconds| seconds.parse().ok()) {
                self.windows.insert(queue.id, Duration::from_secs(seconds));
            }
        }
        self
    }

    /// A queue knows a sender's id again for so long.
    #[must_use]
    pub fn dedup(mut self, queue: &'static str, window: Duration) -> Self {
        self.windows.insert(queue, window);
        self
    }

    /// How long a queue knows a sender's id again, if it does.
    pub fn window(&self, queue: &str) -> Option<Duration> {
        self.windows.get(queue).copied()
    }

    /// All lanes, by name.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values()
    }

    /// The lane of this name.
    pub fn lane(&self, id: &str) -> Option<&Lane> {
        self.lanes.get(id)
    }

    /// The lane that a handler works.
    pub fn lane_of(&self, handler: &str) -> Option<&Lane> {
        self.lanes.values().find(|lane| lane.handler.id == handler)
    }

    /// A topic's subscribers.
    pub fn subscribers(&self, topic: &str) -> &[Lane] {
        self.by_topic.get(topic).map_or(&[], Vec::as_slice)
    }
}
