//! Stores in tables of DynamoDB, one each, laid out as [`updraft_wire::aws::table`] says. Reads are consistent: what was
//! answered is what the next one finds.

mod batch;
mod item;
mod scan;
#[cfg(test)]
mod tests;

use crate::engine::{BoxFuture, EngineError, EngineResult, Entry, Expect, Page, Span, StoreEngine};
use crate::engines::aws::{Account, Failure, Repeat, Service};
use crate::registry::Partition;
use bytes::Bytes;
use item::{Table, bytes_value, entry, expires, now_millis, number, write_of};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use updraft_wire::aws::table::{PARTITION, UNTIL, VERSION};

/// The JSON that it speaks.
const JSON: &str = "application/x-amz-json-1.0";

/// Stores, each in a table of its own.
pub struct DynamoDbStore {
    service: Service,
    tables: BTreeMap<String, Table>,
}

impl DynamoDbStore {
    /// Without tables; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        Ok(DynamoDbStore { service: account.service("dynamodb")?, tables: BTreeMap::new() })
    }

    /// With the table `name`, in which `store` is kept. With a partition, its keys begin so, and its table has a sort key.
    #[must_use]
    pub fn table(mut self, store: &str, name: &str, partition: Option<Partition>) -> Self {
        self.tables.insert(store.to_owned(), Table { name: name.to_owned(), partition });
        self
    }

    fn of(&self, store: &str) -> EngineResult<&Table> {
        let unknown = || EngineError::Misconfigured(format!("there is no table for the store `{store}`"));
        self.tables.get(store).ok_or_else(unknown)
    }

    /// An action; a condition that does not hold is none of its failures.
    async fn ask(&self, table: &Table, target: &'static str, content: &Value, repeat: Repeat) -> EngineResult<Asked> {
        match self.service.json(target, JSON, content, repeat).await? {
            Ok(answer) => Ok(Asked::Done(answer)),
            Err(failure) if failure.code == "ConditionalCheckFailedException" => Ok(Asked::Unmet(failure)),
            Err(failure) => Err(table.explain(&failure)),
        }
    }

    /// The same where nothing is a condition.
    async fn done(&self, table: &Table, target: &'static str, content: &Value) -> EngineResult<Value> {
        match self.ask(table, target, content, Repeat::Always).await? {
            Asked::Done(answer) => Ok(answer),
            Asked::Unmet(failure) => Err(table.explain(&failure)),
        }
    }
}

enum Asked {
    Done(Value),
    Unmet(Failure),
}

/// What must hold, as an expression and its values. What is past its time is not there, though DynamoDB may still have it.
fn condition(expect: Expect) -> Option<(String, Map<String, Value>)> {
    let (text, version) = match expect {
        Expect::Anything => return None,
        Expect::Absent => (format!("attribute_not_exists({PARTITION}) OR {UNTIL} <= :now"), None),
        Expect::Version(version) => {
            (format!("{VERSION} = :version AND (attribute_not_exists({UNTIL}) OR {UNTIL} > :now)"), Some(version))
        }
    };
    let mut values = Map::from_iter([(":now".to_owned(), number(now_millis()))]);
    values.extend(version.map(|version| (":version".to_owned(), number(version))));
    Some((text, values))
}

impl StoreEngine for DynamoDbStore {
    fn system(&self) -> &'static str {
        "aws.dynamodb"
    }

    fn get<'a>(&'a self, store: &'a str, key: &'a [u8]) -> BoxFuture<'a, EngineResult<Option<Entry>>> {
        Box::pin(async move {
            let table = self.of(store)?;
            let content = json!({ "TableName": table.name, "Key": table.key(key)?, "ConsistentRead": true });
            let answer = self.done(table, "DynamoDB_20120810.GetItem", &content).await?;
            answer.get("Item").map_or(Ok(None), |item| entry(item, now_millis()))
        })
    }

    fn get_all<'a>(&'a self, store: &'a str, keys: &'a [Vec<u8>]) -> BoxFuture<'a, EngineResult<Vec<Option<Entry>>>> {
        Box::pin(async move { self.get_batches(self.of(store)?, keys).await })
    }

    fn put<'a>(
        &'a self,
        store: &'a str,
        key: &'a [u8],
        value: Bytes,
        expect: Expect,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            let table = self.of(store)?;
            let item = write_of(table, key, &value, expires(ttl))?;
            let mut content = json!({ "TableName": table.name, "Item": item });
            if let Some((text, values)) = condition(expect) {
                content["ConditionExpression"] = text.into();
                content["ExpressionAttributeValues"] = values.into();
            }
            // Sent again after its answer was lost, it would be asked of what it wrote itself, or others since.
            let repeat = if expect == Expect::Anything { Repeat::Always } else { Repeat::IfUndone };
            let asked = self.ask(table, "DynamoDB_20120810.PutItem", &content, repeat).await?;
            Ok(matches!(asked, Asked::Done(_)))
        })
    }

    fn put_all<'a>(
        &'a self,
        store: &'a str,
        entries: Vec<(Vec<u8>, Bytes)>,
        ttl: Option<Duration>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move { self.put_batches(self.of(store)?, &entries, ttl).await })
    }

    fn delete<'a>(&'a self, store: &'a str, key: &'a [u8], expect: Expect) -> BoxFuture<'a, EngineResult<bool>> {
        Box::pin(async move {
            let table = self.of(store)?;
            let (text, values) = match expect {
                Expect::Absent => return Ok(false),
                Expect::Version(_) => condition(expect).unwrap_or_default(),
                Expect::Anything => (
                    format!("attribute_exists({PARTITION}) AND (attribute_not_exists({UNTIL}) OR {UNTIL} > :now)"),
                    Map::from_iter([(":now".to_owned(), number(now_millis()))]),
                ),
            };
            let content = json!({
                "TableName": table.name,
                "Key": table.key(key)?,
                "ConditionExpression": text,
                "ExpressionAttributeValues": values,
            });
            // Sent again, it would find nothing to delete.
            let asked = self.ask(table, "DynamoDB_20120810.DeleteItem", &content, Repeat::IfUndone).await?;
            Ok(matches!(asked, Asked::Done(_)))
        })
    }

    fn scan<'a>(
        &'a self,
        store: &'a str,
        prefix: &'a [u8],
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>> {
        Box::pin(async move { self.scan_table(self.of(store)?, prefix, from, limit.max(1)).await })
    }

    fn scan_ordered<'a>(
        &'a self,
        store: &'a str,
        span: &'a Span,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<(Vec<u8>, Entry)>>> {
        Box::pin(async move { self.query(self.of(store)?, span, from, limit.max(1)).await })
    }
}

/// Bytes of a key as an attribute's value: after [`updraft_wire::aws::table::MARK`].
fn marked(bytes: &[u8]) -> Value {
    bytes_value(&[&[updraft_wire::aws::table::MARK], bytes].concat())
}
