//! Entries in pages: of a whole table by `Scan`, of one partition by `Query`. A page's cursor is the last key that was looked
//! at, so that it outlives the entry.

use super::item::{Table, entry, now_millis};
use super::{DynamoDbStore, marked};
use crate::engine::{EngineError, EngineResult, Entry, Page, Span, foreign_cursor, hex, key_range, unhex};
use serde_json::{Value, json};
use std::ops::Bound;
use updraft_wire::aws::table::{PARTITION, SORT};

/// How many items are looked at for a page at least, where most may be others.
const STRIDE: usize = 256;

/// Some items, whatever they hold, and the last that was looked at, unless it was the last of all.
struct Stride {
    items: Vec<(Vec<u8>, Option<Entry>)>,
    last: Option<Vec<u8>>,
}

impl Stride {
    fn read(table: &Table, answer: &Value) -> EngineResult<Self> {
        let now = now_millis();
        let items = answer["Items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let items =
            items.iter().map(|item| Ok((table.key_of(item)?, entry(item, now)?))).collect::<EngineResult<_>>()?;
        let last = answer.get("LastEvaluatedKey").map(|key| table.key_of(key)).transpose()?;
        Ok(Stride { items, last })
    }

    /// The entries among them, at most `limit`, and where to go on.
    fn page(self, limit: usize) -> (Vec<(Vec<u8>, Entry)>, Option<Vec<u8>>) {
        let found = self.items.into_iter().filter_map(|(key, entry)| Some((key, entry?)));
        let mut items: Vec<_> = found.take(limit + 1).collect();
        if items.len() > limit {
            items.truncate(limit);
            let last = items.last().map(|(key, _)| key.clone());
            return (items, last);
        }
        (items, self.last)
    }
}

impl DynamoDbStore {
    pub(super) async fn scan_table(
        &self,
        table: &Table,
        prefix: &[u8],
        from: Option<String>,
        limit: usize,
    ) -> EngineResult<Page<(Vec<u8>, Entry)>> {
        // A prefix that holds a whole partition is a part of that one.
        if let Ok((partition, Some(rest))) = table.split(prefix) {
            return self.query_prefix(table, (partition, rest), from, limit).await;
        }
        let mut from = from.map(|cursor| unhex(&cursor).ok_or_else(foreign_cursor)).transpose()?;
        loop {
            let mut content = json!({ "TableName": table.name, "ConsistentRead": true, "Limit": limit });
            if !prefix.is_empty() {
                content["Limit"] = limit.max(STRIDE).into();
                content["FilterExpression"] = format!("begins_with({PARTITION}, :prefix)").into();
                content["ExpressionAttributeValues"] = json!({ ":prefix": marked(prefix) });
            }
            if let Some(key) = &from {
                content["ExclusiveStartKey"] = table.key(key)?;
            }
            let answer = self.done(table, "DynamoDB_20120810.Scan", &content).await?;
            let (items, last) = Stride::read(table, &answer)?.page(limit);
            // No empty page is given, but the last.
            if last.is_none() || !items.is_empty() {
                return Ok(Page { items, next: last.map(|key| hex(&key)) });
            }
            from = last;
        }
    }

    async fn query_prefix(
        &self,
        table: &Table,
        (partition, rest): (&[u8], &[u8]),
        from: Option<String>,
        limit: usize,
    ) -> EngineResult<Page<(Vec<u8>, Entry)>> {
        let prefix = [partition, rest].concat();
        let (first, past) = key_range(&prefix);
        // In this partition alone, whatever the range is of all bytes.
        let past = if rest.is_empty() { Bound::Unbounded } else { past };
        let to = match &past {
            Bound::Excluded(end) if !end.starts_with(partition) => Bound::Unbounded,
            _ => past,
        };
        let span = Span { partition: partition.to_vec(), from: first, to, reversed: false };
        self.query(table, &span, from, limit).await
    }

    pub(super) async fn query(
        &self,
        table: &Table,
        span: &Span,
        from: Option<String>,
        limit: usize,
    ) -> EngineResult<Page<(Vec<u8>, Entry)>> {
        if table.partition.is_none() {
            let reason = format!("the store in the table `{}` is declared without a partition", table.name);
            return Err(EngineError::Misconfigured(reason));
        }
        let mut rest = match from {
            Some(cursor) => span.after(&unhex(&cursor).ok_or_else(foreign_cursor)?),
            None => span.clone(),
        };
        loop {
            if rest.keys().is_none() {
                return Ok(Page { items: Vec::new(), next: None });
            }
            let (text, mut values) = between(&rest)?;
            values[":partition"] = marked(&rest.partition);
            let content = json!({
                "TableName": table.name,
                "ConsistentRead": true,
                // Both bounds may be among them, and not be asked for.
                "Limit": limit + 2,
                "ScanIndexForward": !rest.reversed,
                "KeyConditionExpression": format!("{PARTITION} = :partition{text}"),
                "ExpressionAttributeValues": values,
            });
            let answer = self.done(table, "DynamoDB_20120810.Query", &content).await?;
            let mut stride = Stride::read(table, &answer)?;
            let outside =
                |key: &[u8]| [&rest.from, &rest.to].iter().any(|bound| **bound == Bound::Excluded(key.to_vec()));
            stride.items.retain(|(key, _)| !outside(key));
            let (items, last) = stride.page(limit);
            match last {
                Some(last) if items.is_empty() => rest = rest.after(&last),
                last => return Ok(Page { items, next: last.map(|key| hex(&key)) }),
            }
        }
    }
}

/// A condition for the sort key: bounds included, for DynamoDB knows no others beside one another.
fn between(span: &Span) -> EngineResult<(String, Value)> {
    let sort = |bound: &Bound<Vec<u8>>| match bound {
        Bound::Unbounded => Ok(None),
        Bound::Included(key) | Bound::Excluded(key) => {
            let rest = key.strip_prefix(&*span.partition).ok_or_else(foreign_cursor)?;
            Ok::<_, EngineError>(Some(marked(rest)))
        }
    };
    let (text, values) = match (sort(&span.from)?, sort(&span.to)?) {
        (None, None) => (String::new(), json!({})),
        (Some(from), None) => (format!(" AND {SORT} >= :from"), json!({ ":from": from })),
        (None, Some(to)) => (format!(" AND {SORT} <= :to"), json!({ ":to": to })),
        (Some(from), Some(to)) => (format!(" AND {SORT} BETWEEN :from AND :to"), json!({ ":from": from, ":to": to })),
    };
    Ok((text, values))
}
