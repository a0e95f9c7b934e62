//! What a bucket of S3 tells, as handlers with `#[object]` take it.

use crate::object::{Object, ObjectEvent};
use crate::registry::{Dispatch, Handler};
use crate::server::cloudevent;
use bytes::Bytes;
use updraft_wire::aws::events::{S3Event, S3Record};

/// The bodies of the handler's messages: one for each thing that happened, as a rule one. What S3 sends to try a queue holds
/// none.
///
/// # Errors
/// If it is nothing that a bucket tells.
pub(super) fn objects(handler: &Handler, body: &[u8]) -> Result<Vec<Bytes>, String> {
    let event: S3Event =
        serde_json::from_slice(body).map_err(|error| format!("it is nothing that a bucket tells: {error}"))?;
    let mut bodies = Vec::new();
    for record in event.records {
        let object = object(record)?;
        if takes(handler, &object) {
            bodies.push(serde_json::to_vec(&object).map_err(|error| error.to_string())?.into());
        }
    }
    Ok(bodies)
}

/// A deleted blob's size and etag S3 does not tell.
fn object(record: S3Record) -> Result<Object, String> {
    let event = match record.event_name.split(':').next() {
        Some("ObjectCreated") => ObjectEvent::Created,
        Some("ObjectRemoved" | "LifecycleExpiration") => ObjectEvent::Removed,
        _ => return Err(format!("`{}` is nothing that happens to an object", record.event_name)),
    };
    let key = record.s3.object.key.replace('+', " ");
    let key = cloudevent::decode(key.as_bytes()).ok_or_else(|| format!("the key `{key}` is no UTF-8"))?;
    let (size, etag) = (record.s3.object.size.unwrap_or(0), record.s3.object.e_tag.unwrap_or_default());
    Ok(Object { key, event, size, etag })
}

/// Whether the handler is told of this: S3's filters say so too, but those of a queue may have been changed.
fn takes(handler: &Handler, object: &Object) -> bool {
    match handler.dispatch {
        Dispatch::Object { event, prefix, suffix, .. } => {
            event == object.event && object.key.starts_with(prefix) && object.key.ends_with(suffix)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use updraft_wire::Grants;

    fn told(event: ObjectEvent, body: Value) -> Result<Vec<Value>, String> {
        let dispatch = Dispatch::Object {
            bucket: "uploads",
            event,
            prefix: "in/",
            suffix: ".png",
            retries: 1,
            deliver: |_, _| Box::pin(async { Ok(()) }),
        };
        let handler = Handler { id: "look", descriptor: &[], grants: Grants::None, timeout_millis: 1, dispatch };
        let bodies = objects(&handler, body.to_string().as_bytes())?;
        Ok(bodies.iter().map(|body| serde_json::from_slice(body).expect("JSON")).collect())
    }

    fn record(name: &str, key: &str) -> Value {
        json!({ "eventName": name, "eventTime": "2026-11-25T00:00:00Z",
            "s3": { "bucket": { "name": "b" }, "object": { "key": key, "size": 3, "eTag": "e" } } })
    }

    #[test]
    fn a_handler_is_told_of_what_it_asked_for() {
        let records = json!({ "Records": [
            record("ObjectCreated:Put", "in/a+b%2Bc%C3%A9.png"), record("ObjectCreated:Copy", "out/a.png"),
            record("ObjectCreated:Put", "in/a.jpg"), record("ObjectRemoved:Delete", "in/gone.png") ] });
        let created = told(ObjectEvent::Created, records.clone()).unwrap();
        assert_eq!(created, [json!({ "key": "in/a b+cé.png", "event": "created", "size": 3, "etag": "e" })]);
        let removed = told(ObjectEvent::Removed, records).unwrap();
        assert_eq!((removed.len(), &removed[0]["key"]), (1, &json!("in/gone.png")));
        assert_eq!(told(ObjectEvent::Created, json!({ "Event": "s3:TestEvent" })).unwrap(), [] as [Value; 0]);
        for wrong in [json!("words"), json!({ "Records": [record("ReducedRedundancyLostObject", "in/a.png")] })] {
            assert!(told(ObjectEvent::Created, wrong).is_err());
        }
    }
}
