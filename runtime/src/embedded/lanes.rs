//! Messages on their way: published, leased, acknowledged, put back, buried. Every step is one transaction.

mod looks;

pub use looks::Depth;

use super::record::Record;
use super::tables::{LEASED, Tables};
use super::topology::{LaneId, queue_lane};
use super::{Embedded, stores};
use crate::deadletter::DeadLetter;
use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
use crate::message::SKEW_UNTIL;
use crate::once::{COMPLETIONS, key};
use jiff::Timestamp;
use redb::ReadableTable;
use std::time::Duration;
use updraft_wire::defaults::MESSAGE_LIMIT_BYTES;

/// A message that a handler holds until it is acknowledged, put back or buried, or until the lease ends.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Where it waited.
    pub lane: LaneId,
    /// Its number there.
    pub number: u64,
    /// Which attempt this is, counted from 1. Together with `number` it names this lease alone.
    pub attempt: u32,
    /// When it was first handed out.
    pub first: Timestamp,
    /// The message.
    pub message: Message,
}

impl Messaging for Embedded {
    fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
        Box::pin(self.keep_letter(letter))
    }

    fn publish(&self, channel: Channel, messages: Vec<Message>, delay: Duration) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async move {
            let now = self.now();
            let mut waiting = Vec::with_capacity(messages.len());
            for message in &messages {
                let record = Record::fresh(message);
                if record.len() > MESSAGE_LIMIT_BYTES {
                    return Err(EngineError::TooLarge { bytes: record.len(), limit: MESSAGE_LIMIT_BYTES });
                }
                let (key, id) = (message.key().map(str::to_owned), message.dedup_id());
                match channel {
                    Channel::Queue(queue) => {
                        let window = |id: &str| Some((id.to_owned(), after(now, self.topology().window(queue)?)));
                        let id = id.map(|id| window(id).ok_or_else(|| knows_no_ids(queue))).transpose()?;
                        waiting.push((queue_lane(queue), key, id, record));
                    }
                    Channel::Topic(topic) => {
                        let wanted = |when: &[(&str, &str)]| {
                            when.iter().all(|(name, value)| message.attributes.get(*name).is_some_and(|v| v == value))
                        };
                        let subscribers = self.topology().subscribers(topic).iter();
                        let wanting = subscribers.filter(|lane| wanted(lane.when));
                        waiting.extend(wanting.map(|lane| (lane.id.clone(), key.clone(), None, record.clone())));
                    }
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            let visible = after(now, delay);
            let now = now.as_microsecond();
            self.write(move |tables| {
                for (lane, key, id, record) in &waiting {
                    let new = match id {
                        Some((id, until)) => is_new(tables, (lane, id), now, *until)?,
                        None => true,
                    };
                    if new {
                        enqueue(tables, lane, visible, key.as_deref(), record)?;
                    }
                }
                Ok(())
            })
            .await?;
            self.woken();
            Ok(())
        })
    }
}

fn knows_no_ids(queue: &str) -> EngineError {
    EngineError::Misconfigured(format!("the queue `{queue}` declares no time in which it knows a message's id again"))
}

/// Adds a message to a lane. Of a key's messages only the first is ready: the others wait for its end.
pub(super) fn enqueue(
    tables: &mut Tables<'_>,
    lane: &str,
    visible: i64,
    key: Option<&str>,
    record: &Record,
) -> Result<(), redb::Error> {
    let number = tables.number()?;
    tables.messages.insert((lane, number), record.bytes())?;
    let first = match key {
        Some(key) => {
            let first = first_of(tables, lane, key)?.is_none();
            tables.keyed.insert((lane, key, number), ())?;
            first
        }
        None => true,
    };
    if first {
        tables.ready.insert((lane, visible, number), ())?;
    }
    Ok(())
}

/// Takes a message out of its lane for good. The next of its key is ready then.
fn remove(tables: &mut Tables<'_>, lease: &Lease, now: i64) -> Result<(), redb::Error> {
    let lane = &*lease.lane;
    tables.messages.remove((lane, lease.number))?;
    let Some(key) = lease.message.key() else { return Ok(()) };
    tables.keyed.remove((lane, key, lease.number))?;
    if let Some(next) = first_of(tables, lane, key)? {
        tables.ready.insert((lane, now, next), ())?;
    }
    Ok(())
}

/// The first message of a key: the one that is ready or held.
fn first_of(tables: &Tables<'_>, lane: &str, key: &str) -> Result<Option<u64>, redb::Error> {
    let first = tables.keyed.range((lane, key, 0)..=(lane, key, u64::MAX))?.next();
    Ok(first.transpose()?.map(|(key, _)| key.value().2))
}

/// Ids that are looked at and forgotten with each that is remembered: more than one, so that they become fewer.
const FORGOTTEN_AT_ONCE: usize = 4;

/// Whether nothing was sent under this id of late. It is remembered then, and others whose time is over are forgotten.
fn is_new(tables: &mut Tables<'_>, (lane, id): (&str, &str), now: i64, until: i64) -> Result<bool, redb::Error> {
    let known = tables.sent.get((lane, id))?.map(|end| end.value());
    match known {
        Some(end) if end > now => return Ok(false),
        Some(end) => drop(tables.sent_ends.remove((end, lane, id))?),
        None => {}
    }
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some((end, lane, id)) = tables.sent_ends.first()?.map(|(key, _)| {
            let (end, lane, id) = key.value();
            (end, lane.to_owned(), id.to_owned())
        }) else {
            break;
        };
        if end > now {
            break;
        }
        tables.sent_ends.remove((end, &*lane, &*id))?;
        tables.sent.remove((&*lane, &*id))?;
    }
    tables.sent.insert((lane, id), until)?;
    tables.sent_ends.insert((until, lane, id), ())?;
    Ok(true)
}

/// Ends a lease that is still this one; whether it was.
fn take_back(tables: &mut Tables<'_>, lease: &Lease) -> Result<Option<Record>, redb::Error> {
    let key = (&*lease.lane, lease.number);
    let record = tables.messages.get(key)?.map(|bytes| Record::from_bytes(bytes.value()));
    match record {
        Some(record) if record.attempts() == lease.attempt => {
            let held = tables.leased.remove(key)?.is_some();
            Ok(held.then_some(record))
        }
        Some(_) | None => Ok(None),
    }
}

impl Embedded {
    /// Hands out up to `limit` messages of a lane that are due, each for at most `hold`. The attempt counts from here on,
    /// even if the process dies in the middle of it.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn lease(&self, lane: &LaneId, limit: usize, hold: Duration) -> EngineResult<Vec<Lease>> {
        self.lease_some(lane, limit, hold, false).await
    }

    /// The same for a handler that takes them together: a message that was tried before comes alone, so that one that ends its
    /// handler each time can't spend the attempts of its neighbours.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn lease_batch(&self, lane: &LaneId, limit: usize, hold: Duration) -> EngineResult<Vec<Lease>> {
        self.lease_some(lane, limit, hold, true).await
    }

    async fn lease_some(
        &self,
        lane: &LaneId,
        limit: usize,
        hold: Duration,
        together: bool,
    ) -> EngineResult<Vec<Lease>> {
        let (now, lane) = (self.now(), lane.clone());
        let until = after(now, hold);
        let held = self
            .write_soon(move |tables| {
                let range = (&*lane, i64::MIN, 0)..=(&*lane, now.as_microsecond(), u64::MAX);
                let mut due = Vec::new();
                for entry in tables.ready.range(range)? {
                    let entry = entry?.0;
                    let (_, visible, number) = entry.value();
                    let again = together
                        && tables.messages.get((&*lane, number))?.is_some_and(|it| Record::was_tried(it.value()));
                    if again && !due.is_empty() {
                        continue;
                    }
                    due.push((visible, number));
                    if again || due.len() == limit {
                        break;
                    }
                }
                let mut leases = Vec::with_capacity(due.len());
                for (visible, number) in due {
                    tables.ready.remove((&*lane, visible, number))?;
                    let record = tables.messages.get((&*lane, number))?.map(|it| Record::from_bytes(it.value()));
                    let Some(mut record) = record else { continue };
                    record.count_attempt(now);
                    tables.messages.insert((&*lane, number), record.bytes())?;
                    tables.leased.insert((&*lane, number), until)?;
                    leases.push((lane.clone(), number, record));
                }
                Ok(leases)
            })
            .await?;
        held.into_iter()
            .map(|(lane, number, record)| {
                let message = record.message().map_err(|source| EngineError::Other(Box::new(source)))?;
                Ok(Lease { lane, number, attempt: record.attempts(), first: record.first(now), message })
            })
            .collect()
    }

    /// The message is done. `false` if the lease had ended: then it is somebody else's again.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn ack(&self, lease: Lease) -> EngineResult<bool> {
        let now = self.now().as_microsecond();
        self.write_soon(move |tables| {
            let held = take_back(tables, &lease)?.is_some();
            if held {
                remove(tables, &lease, now)?;
            }
            Ok(held)
        })
        .await
    }

    /// The message is done, and so is every other delivery of it to `handler` for `keep`: one transaction.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn complete(&self, lease: Lease, handler: &'static str, keep: Duration) -> EngineResult<bool> {
        let (now, end) = (self.now().as_microsecond(), after(self.now(), keep));
        self.write(move |tables| {
            let held = take_back(tables, &lease)?.is_some();
            if held {
                remove(tables, &lease, now)?;
            }
            stores::note(tables, COMPLETIONS, key(handler, &lease.message.id).as_bytes(), end)?;
            Ok(held)
        })
        .await
    }

    /// Whether `handler` is done with a message.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn completed(&self, handler: &str, message: &str) -> EngineResult<bool> {
        let (key, now) = (key(handler, message), self.now().as_microsecond());
        self.read(|transaction| stores::noted(transaction, COMPLETIONS, key.as_bytes(), now))
    }

    /// The message waits for `pause`, then it is due again.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn put_back(&self, lease: Lease, pause: Duration) -> EngineResult<bool> {
        let visible = after(self.now(), pause);
        let back = self
            .write_soon(move |tables| {
                let held = take_back(tables, &lease)?.is_some();
                if held {
                    tables.ready.insert((&*lease.lane, visible, lease.number), ())?;
                }
                Ok(held)
            })
            .await?;
        self.woken();
        Ok(back)
    }

    /// The message waits for `pause` as if this attempt had not been; with a note of until when that may go on, if it is for
    /// a newer version of the program to read.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn put_back_uncounted(
        &self,
        lease: Lease,
        pause: Duration,
        until: Option<Timestamp>,
    ) -> EngineResult<bool> {
        let visible = after(self.now(), pause);
        let back = self
            .write(move |tables| {
                let Some(record) = take_back(tables, &lease)? else { return Ok(false) };
                // One whose metadata can't be read was not leased.
                let record = record.returned(until.map(|until| (SKEW_UNTIL, until.to_string()))).unwrap_or(record);
                tables.messages.insert((&*lease.lane, lease.number), record.bytes())?;
                tables.ready.insert((&*lease.lane, visible, lease.number), ())?;
                Ok(true)
            })
            .await?;
        self.woken();
        Ok(back)
    }

    /// The message is given up: out of its lane and among the dead letters, in one transaction.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn bury(&self, lease: Lease, letter: DeadLetter) -> EngineResult<bool> {
        let json = serde_json::to_vec(&letter).map_err(|source| EngineError::Other(Box::new(source)))?;
        let now = self.now().as_microsecond();
        self.write(move |tables| {
            let held = take_back(tables, &lease)?.is_some();
            if held {
                remove(tables, &lease, now)?;
                tables.dead.insert((&*letter.handler, &*letter.id), &*json)?;
            }
            Ok(held)
        })
        .await
    }

    /// Ends leases that are over, so that their messages are due again; how many.
    ///
    /// # Errors
    /// If the state can't be written.
    pub async fn expire_leases(&self) -> EngineResult<usize> {
        let now = self.now().as_microsecond();
        if !self.any_lease_ended(now)? {
            return Ok(0);
        }
        self.write_soon(move |tables| release(tables, now, now)).await
    }

    /// When the first lease ends.
    ///
    /// # Errors
    /// If the state can't be read.
    pub(crate) fn next_lease_end(&self) -> EngineResult<Option<Timestamp>> {
        let first = self.read(|transaction| {
            let mut first = None;
            for entry in transaction.open_table(LEASED)?.iter()? {
                let until = entry?.1.value();
                first = Some(first.map_or(until, |first: i64| first.min(until)));
            }
            Ok(first)
        })?;
        Ok(first.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    }

    /// Ends all leases, as the next start does after a process was lost.
    ///
    /// # Errors
    /// If the state can't be written.
    pub(crate) async fn release_all(&self) -> EngineResult<usize> {
        let now = self.now().as_microsecond();
        self.write(move |tables| release(tables, i64::MAX, now)).await
    }

    fn any_lease_ended(&self, now: i64) -> EngineResult<bool> {
        self.read(|transaction| {
            for entry in transaction.open_table(LEASED)?.iter()? {
                if entry?.1.value() <= now {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// Makes every message due `now` whose lease ends by `end`.
pub(super) fn release(tables: &mut Tables<'_>, end: i64, now: i64) -> Result<usize, redb::Error> {
    let mut over = Vec::new();
    for entry in tables.leased.iter()? {
        let (key, until) = entry?;
        if until.value() <= end {
            let (lane, number) = key.value();
            over.push((lane.to_owned(), number));
        }
    }
    for (lane, number) in &over {
        tables.leased.remove((lane.as_str(), *number))?;
        tables.ready.insert((lane.as_str(), now, *number), ())?;
    }
    Ok(over.len())
}

/// `now + pause` in microseconds.
pub(super) fn after(now: Timestamp, pause: Duration) -> i64 {
    now.as_microsecond().saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
}
