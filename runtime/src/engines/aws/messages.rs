//! What SQS and SNS have in common: a message's metadata in its attributes, and batches of which a part may fail.

use super::pause;
use crate::engine::{EngineError, EngineResult, Message};
use crate::message::{HANDLER, SKEW_UNTIL};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use updraft_wire::aws::{DECLARED_ATTRIBUTES_MOST, METADATA_ATTRIBUTE, Metadata, REASON, TRIED, attribute_name};
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;
use updraft_wire::envelope::{DEDUP_ID, PARTITION_KEY};

/// Messages of one request: both services' limit.
const BATCH: usize = 10;
/// Requests of one call that are under way at once, where order does not matter.
const AT_ONCE: usize = 8;
/// How often what the service could not take is sent again.
const ROUNDS: u32 = 5;
/// The longest group or deduplication id.
const ID_LIMIT: usize = 128;
/// Of a message's attributes those that are the runtime's own.
const OWN: [&str; 6] = [PARTITION_KEY, DEDUP_ID, SKEW_UNTIL, HANDLER, REASON, TRIED];

/// A message as it goes out.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) body: String,
    /// Name and value, all of them texts.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) fifo: Option<Fifo>,
}

/// What FIFO queues and topics want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fifo {
    /// Those of a group come in their order.
    pub(crate) group: String,
    /// Within five minutes none other is taken under it.
    pub(crate) id: String,
}

/// What the service did not take of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Which one.
    pub(crate) at: usize,
    /// Whether it never will.
    pub(crate) for_good: bool,
    pub(crate) reason: String,
}

impl Refused {
    /// One of which the answer says nothing: it may have been taken, and at least once it shall be.
    pub(crate) fn unsaid(at: usize) -> Self {
        Refused { at, for_good: false, reason: "the service does not say what became of it".to_owned() }
    }
}

/// Whether a queue's URL or a topic's ARN is that of one that keeps order.
pub(crate) fn is_fifo(place: &str) -> bool {
    place.ends_with(".fifo")
}

impl Outgoing {
    /// A message that is sent, to a place that does or doesn't keep order.
    ///
    /// # Errors
    /// If it is none that every engine takes, or that this place can't keep as it should.
    pub(crate) fn of(message: &Message, fifo: bool, what: &str) -> EngineResult<Self> {
        message.check_size()?;
        if !fifo && (message.key().is_some() || message.dedup_id().is_some()) {
            let reason = format!("{what} is no FIFO one, and knows no order and no ids");
            return Err(EngineError::Misconfigured(reason));
        }
        let declared = message.attributes.iter().filter(|(name, value)| !is_ours(name, value)).count();
        if declared > DECLARED_ATTRIBUTES_MOST {
            let reason =
                format!("{what} takes {DECLARED_ATTRIBUTES_MOST} attributes at most, and a message has {declared}");
            return Err(EngineError::Misconfigured(reason));
        }
        Self::again(message, fifo)
    }

    /// A message that was handed out, on its way into another queue or the same: it was taken once as it is.
    ///
    /// # Errors
    /// If it is no text.
    pub(crate) fn again(message: &Message, fifo: bool) -> EngineResult<Self> {
        let wrong = |error: std::str::Utf8Error| EngineError::Other(error.into());
        let body = std::str::from_utf8(&message.body).map_err(wrong)?;
        // The two characters of JSON that they refuse stand in strings alone.
        let body = body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        let (mut own, mut declared): (BTreeMap<_, _>, BTreeMap<_, _>) =
            message.attributes.clone().into_iter().partition(|(name, value)| is_ours(name, value));
        while declared.len() > DECLARED_ATTRIBUTES_MOST {
            own.extend(declared.pop_last());
        }
        let metadata = Metadata {
            id: message.id.clone(),
            source: message.source.clone(),
            time: message.time.to_string(),
            schema: message.schema.clone(),
            traceparent: message.trace.as_ref().map(|trace| trace.parent()),
            tracestate: message.trace.as_ref().and_then(|trace| trace.state.as_deref().map(str::to_owned)),
            own,
        };
        let metadata = serde_json::to_string(&metadata).map_err(|error| EngineError::Other(error.into()))?;
        let mut attributes = vec![(METADATA_ATTRIBUTE.to_owned(), metadata)];
        attributes.extend(declared.into_iter().map(|(name, value)| (attribute_name(&name).into_owned(), value)));
        let fifo = fifo.then(|| Fifo {
            group: short(message.key().unwrap_or(&message.id)),
            // A retry keeps the message's id, so that it is the same one.
            id: short(message.dedup_id().unwrap_or(&message.id)),
        });
        Ok(Outgoing { body, attributes, fifo })
    }

    /// The same, known by the message's own id and not by its sender's: of two that a sender called the same, long after each
    /// other, neither shall pass for the other.
    pub(crate) fn under_own_id(mut self, message: &Message) -> Self {
        if let Some(fifo) = &mut self.fifo {
            fifo.id = short(&message.id);
        }
        self
    }

    /// The same, known by this too, beside its id: what is sent of one message for another reason is another one.
    pub(crate) fn beside(mut self, message: &Message, reason: &str) -> Self {
        if let Some(fifo) = &mut self.fifo {
            fifo.id = short(&format!("{}/{reason}", message.id));
        }
        self
    }

    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len() + "String".len());
        self.body.len() + attributes.sum::<usize>()
    }
}

/// Whether an attribute travels with the metadata. They refuse empty texts as attributes.
fn is_ours(name: &str, value: &str) -> bool {
    OWN.contains(&name) || value.is_empty()
}

/// A text as a group's or a message's id: itself, if it can be one.
fn short(text: &str) -> String {
    let fits = (1..=ID_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { text.to_owned() } else { blake3::hash(text.as_bytes()).to_hex().to_string() }
}

/// Batches that a request can take. Of a group one message at most: if it is refused and comes later, no other has overtaken
/// it.
fn batches(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut batches: Vec<Vec<Outgoing>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let more = message.bytes();
        let group = |other: &Outgoing| match (&other.fifo, &message.fifo) {
            (Some(other), Some(this)) => other.group == this.group,
            _ => false,
        };
        match batches.last_mut() {
            Some(last) if last.len() < BATCH && bytes + more <= MESSAGE_LIMIT_BYTES && !last.iter().any(group) => {
                last.push(message);
                bytes += more;
            }
            _ => {
                batches.push(vec![message]);
                bytes = more;
            }
        }
    }
    batches
}

/// Sends all in batches; what the service could not take of one, again.
pub(crate) async fn send_all<F>(
    messages: Vec<Outgoing>,
    what: &str,
    send: impl Fn(Vec<Outgoing>) -> F,
) -> EngineResult<()>
where
    F: Future<Output = EngineResult<Vec<Refused>>>,
{
    let at_once = if messages.iter().any(|message| message.fifo.is_some()) { 1 } else { AT_ONCE };
    let send = &send;
    let one = |mut batch: Vec<Outgoing>| async move {
        let mut rounds = 0;
        loop {
            let refused = send(batch.clone()).await?;
            let Some(first) = refused.first() else { return Ok(()) };
            if let Some(lost) = refused.iter().find(|refused| refused.for_good) {
                return Err(EngineError::Other(format!("{what} does not take a message: {}", lost.reason).into()));
            }
            if rounds == ROUNDS {
                return Err(EngineError::Unavailable(format!("{what} takes no message now: {}", first.reason)));
            }
            tokio::time::sleep(pause(rounds)).await;
            rounds += 1;
            batch = refused.iter().filter_map(|refused| batch.get(refused.at).cloned()).collect();
        }
    };
    stream::iter(batches(messages)).map(one).buffer_unordered(at_once).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Mutex;

    fn message(number: usize, attributes: &[(&str, &str)]) -> Message {
        Message {
            id: format!("id-{number}"),
            source: "//shop/orders".to_owned(),
            time: "2026-01-02T03:04:05Z".parse().expect("a time"),
            schema: Some("abc".to_owned()),
            trace: None,
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Bytes::from(format!("{{\"n\":{number},\"odd\":\"\u{ffff}\"}}")),
        }
    }

    fn outgoing(number: usize, group: Option<&str>) -> Outgoing {
        let key: Vec<_> = group.map(|group| (PARTITION_KEY, group)).into_iter().collect();
        Outgoing::of(&message(number, &key), group.is_some(), "it").expect("a message")
    }

    #[test]
    fn metadata_travel_in_one_attribute_and_what_is_declared_in_its_own() {
        let attributes = [("region", "eu"), ("updraft", "mine"), ("empty", ""), (PARTITION_KEY, "a b")];
        let out = Outgoing::of(&message(7, &attributes), true, "it").expect("a message");
        assert_eq!(out.body, r#"{"n":7,"odd":"\uffff"}"#);
        let [(name, metadata), rest @ ..] = &out.attributes[..] else { panic!("{out:?}") };
        assert_eq!(name, METADATA_ATTRIBUTE);
        let metadata: Metadata = serde_json::from_str(metadata).expect("metadata");
        assert_eq!((&*metadata.id, metadata.own.len()), ("id-7", 2), "{metadata:?}");
        let rest: Vec<_> = rest.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(rest, [("region", "eu"), ("x-updraft", "mine")]);
        let fifo = out.fifo.expect("an order");
        assert_eq!((fifo.group.len(), &*fifo.id), (64, "id-7"), "a space is none of an id's characters");
    }

    #[test]
    fn what_a_place_can_not_keep_is_refused() {
        for attributes in [[(PARTITION_KEY, "a")], [(DEDUP_ID, "a")]] {
            let refused = Outgoing::of(&message(1, &attributes), false, "the queue `q`").expect_err("no order");
            assert!(matches!(&refused, EngineError::Misconfigured(text) if text.contains("`q`")), "{refused:?}");
        }
        let names: Vec<_> = (0..10).map(|number| format!("n{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| (&**name, "1")).collect();
        assert!(Outgoing::of(&message(1, &many[..9]), false, "it").is_ok());
        assert!(matches!(Outgoing::of(&message(1, &many), false, "it"), Err(EngineError::Misconfigured(_))));
    }

    #[test]
    fn batches_hold_ten_or_what_fits_or_one_of_a_group() {
        let sizes = |messages| batches(messages).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes((0..23).map(|number| outgoing(number, None)).collect()), [10, 10, 3]);
        let mut large = outgoing(0, None);
        large.body = "x".repeat(100 << 10);
        assert_eq!(sizes(vec![large; 5]), [2, 2, 1]);
        let groups = ["a", "b", "a", "a", "c"];
        assert_eq!(sizes(groups.iter().map(|group| outgoing(0, Some(group))).collect()), [2, 1, 2]);
    }

    #[tokio::test]
    async fn a_part_that_fails_is_sent_again() {
        let refused = |at, for_good| Refused { at, for_good, reason: "busy".to_owned() };
        let messages = |count| (0..count).map(|number| outgoing(number, None)).collect::<Vec<_>>();
        let sent = Mutex::new(Vec::new());
        let result = send_all(messages(3), "it", |batch| {
            let mut sent = sent.lock().expect("unpoisoned");
            let first = sent.is_empty();
            sent.push(batch.iter().map(|message| message.body.chars().nth(5).expect("a number")).collect::<String>());
            let left = if first { vec![refused(0, false), refused(2, false)] } else { Vec::new() };
            async { Ok(left) }
        });
        result.await.expect("all of them");
        assert_eq!(*sent.lock().expect("unpoisoned"), ["012", "02"]);

        let lost = send_all(messages(3), "it", |_| async { Ok(vec![refused(0, false), refused(1, true)]) }).await;
        assert!(matches!(lost, Err(EngineError::Other(_))), "{lost:?}");
        let busy = send_all(messages(1), "it", |_| async { Ok(vec![refused(0, false)]) }).await;
        assert!(matches!(busy, Err(EngineError::Unavailable(_))), "{busy:?}");
    }
}
