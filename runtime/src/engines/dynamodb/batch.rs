//! Many entries at once. DynamoDB does what it can of a batch and names the rest, which is asked for again.

use super::DynamoDbStore;
use super::item::{Table, entry, expires, now_millis, write_of};
use crate::engine::{EngineError, EngineResult, Entry};
use crate::engines::aws::pause;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use updraft_wire::defaults::{STORE_GETS_AT_ONCE, STORE_PUTS_AT_ONCE};

/// So often a batch may come back without anything done.
const IDLE_ROUNDS: u32 = 6;

impl DynamoDbStore {
    pub(super) async fn get_batches(&self, table: &Table, keys: &[Vec<u8>]) -> EngineResult<Vec<Option<Entry>>> {
        let mut found = HashMap::new();
        for some in keys.chunks(STORE_GETS_AT_ONCE) {
            let asked = some.iter().map(|key| table.key(key)).collect::<EngineResult<Vec<_>>>()?;
            let mut rounds = Rounds::of(table, asked);
            while let Some(keys) = rounds.next().await? {
                let content = json!({ "RequestItems": { &table.name: { "Keys": keys, "ConsistentRead": true } } });
                let mut answer = self.done(table, "DynamoDB_20120810.BatchGetItem", &content).await?;
                let now = now_millis();
                for item in array(answer["Responses"][&table.name].take()) {
                    if let Some(entry) = entry(&item, now)? {
                        found.insert(table.key_of(&item)?, entry);
                    }
                }
                rounds.left(array(answer["UnprocessedKeys"][&table.name]["Keys"].take()));
            }
        }
        Ok(keys.iter().map(|key| found.remove(key)).collect())
    }

    pub(super) async fn put_batches(
        &self,
        table: &Table,
        entries: &[(Vec<u8>, Bytes)],
        ttl: Option<Duration>,
    ) -> EngineResult<()> {
        let until = expires(ttl);
        for some in entries.chunks(STORE_PUTS_AT_ONCE) {
            let write = |(key, value): &(Vec<u8>, Bytes)| {
                let item = write_of(table, key, value, until)?;
                Ok(json!({ "PutRequest": { "Item": item } }))
            };
            let mut rounds = Rounds::of(table, some.iter().map(write).collect::<EngineResult<Vec<_>>>()?);
            while let Some(writes) = rounds.next().await? {
                let content = json!({ "RequestItems": { &table.name: writes } });
                let mut answer = self.done(table, "DynamoDB_20120810.BatchWriteItem", &content).await?;
                rounds.left(array(answer["UnprocessedItems"][&table.name].take()));
            }
        }
        Ok(())
    }
}

fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}

/// What is left of a batch, round for round.
struct Rounds<'a> {
    table: &'a Table,
    left: Vec<Value>,
    /// Rounds in which nothing was done.
    idle: u32,
    pauses: bool,
}

impl<'a> Rounds<'a> {
    fn of(table: &'a Table, batch: Vec<Value>) -> Self {
        Rounds { table, left: batch, idle: 0, pauses: false }
    }

    /// What is to be asked for now; `None` at the end.
    async fn next(&mut self) -> EngineResult<Option<Vec<Value>>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.idle > IDLE_ROUNDS {
            let reason = format!("the table `{}` is overloaded: it leaves all of a batch undone", self.table.name);
            return Err(EngineError::Unavailable(reason));
        }
        if self.pauses {
            tokio::time::sleep(pause(self.idle + 1)).await;
        }
        Ok(Some(self.left.clone()))
    }

    /// What was not done of it.
    fn left(&mut self, left: Vec<Value>) {
        self.idle = if left.len() < self.left.len() { 0 } else { self.idle + 1 };
        self.pauses = true;
        self.left = left;
    }
}
