//! Dead letters: kept until somebody redrives or drops them.

use super::Embedded;
use super::lanes::{after, enqueue};
use super::record::Record;
use super::tables::DEAD;
use crate::deadletter::DeadLetter;
use crate::engine::{EngineError, EngineResult};
use redb::ReadableTableMetadata;
use std::time::Duration;

impl Embedded {
    /// All dead letters, oldest first, and all in memory: for tests, which know how many there are.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn dead_letters(&self) -> EngineResult<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        self.each_dead_letter(None, |letter| letters.push(letter))?;
        letters.sort_by(|a, b| (&a.last, &a.id, &a.handler).cmp(&(&b.last, &b.id, &b.handler)));
        Ok(letters)
    }

    /// Hands each dead letter to `look`, one after another: those of a handler, or all.
    ///
    /// # Errors
    /// If the state can't be read.
    pub(crate) fn each_dead_letter(&self, handler: Option<&str>, mut look: impl FnMut(DeadLetter)) -> EngineResult<()> {
        let unreadable = self.read(|transaction| {
            for entry in transaction.open_table(DEAD)?.range((handler.unwrap_or_default(), "")..)? {
                let (key, json) = entry?;
                if handler.is_some_and(|handler| key.value().0 != handler) {
                    break;
                }
                match serde_json::from_slice(json.value()) {
                    Ok(letter) => look(letter),
                    Err(error) => return Ok(Some(error)),
                }
            }
            Ok(None)
        })?;
        unreadable.map_or(Ok(()), |error| Err(EngineError::Other(Box::new(error))))
    }

    /// One dead letter.
    ///
    /// # Errors
    /// If the state can't be read.
    pub(crate) fn dead_letter(&self, handler: &str, id: &str) -> EngineResult<Option<DeadLetter>> {
        let json = self.read(|transaction| {
            let letter = transaction.open_table(DEAD)?.get((handler, id))?;
            Ok(letter.map(|letter| letter.value().to_vec()))
        })?;
        json.map(|json| serde_json::from_slice(&json).map_err(|it| EngineError::Other(Box::new(it)))).transpose()
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn dead_letter_count(&self) -> EngineResult<u64> {
        self.read(|transaction| Ok(transaction.open_table(DEAD)?.len()?))
    }

    /// Keeps the letter of a message that never got into a lane; whether it is new.
    ///
    /// # Errors
    /// If the state can't be written.
    pub(super) async fn keep_letter(&self, letter: DeadLetter) -> EngineResult<bool> {
        let json = serde_json::to_vec(&letter).map_err(|it| EngineError::Other(Box::new(it)))?;
        self.write(move |tables| {
            let key = (&*letter.handler, &*letter.id);
            let new = tables.dead.get(key)?.is_none();
            if new {
                tables.dead.insert(key, &*json)?;
            }
            Ok(new)
        })
        .await
    }

    /// Puts a dead letter back before the handler that gave it up, and before no other, with all its attempts again. In an ordered queue
    /// it comes after what has its key and waits.
    ///
    /// # Errors
    /// If there is no such letter, its handler is gone, or the state can't be written.
    pub async fn redrive(&self, handler: &str, id: &str) -> EngineResult<()> {
        let Some(lane) = self.topology().lane_of(handler).map(|lane| lane.id.clone()) else {
            return Err(EngineError::Misconfigured(format!(
                "this program has no handler `{handler}` that takes messages"
            )));
        };
        let Some(letter) = self.dead_letter(handler, id)? else { return Err(no_such_letter(handler, id)) };
        let message = letter.message();
        let record = Record::fresh(&message);
        let visible = after(self.now(), Duration::ZERO);
        let redriven = self
            .write(move |tables| {
                let there = tables.dead.remove((&*letter.handler, &*letter.id))?.is_some();
                if there {
                    enqueue(tables, &lane, visible, message.key(), &record)?;
                }
                Ok(there)
            })
            .await?;
        self.woken();
        if redriven { Ok(()) } else { Err(no_such_letter(handler, id)) }
    }

    /// Forgets a dead letter.
    ///
    /// # Errors
    /// If there is no such letter, or the state can't be written.
    pub async fn drop_letter(&self, handler: &str, id: &str) -> EngineResult<()> {
        let key = (handler.to_owned(), id.to_owned());
        let dropped = self.write(move |tables| Ok(tables.dead.remove((&*key.0, &*key.1))?.is_some())).await?;
        if dropped { Ok(()) } else { Err(no_such_letter(handler, id)) }
    }
}

fn no_such_letter(handler: &str, id: &str) -> EngineError {
    EngineError::Misconfigured(format!("`{handler}` has no dead letter `{id}`"))
}
