//! Damage: one change to one object, to prove that a rule bites.

use crate::Manifest;
use serde_json::Value;

/// Sets the value at a pointer (`/spec/template/…`; `-` appends to a list, and missing maps are made) of the object
/// `Kind/name`, or removes it with `None`. Says whether it could.
pub fn apply(manifests: &mut [Manifest], object: &str, pointer: &str, value: Option<Value>) -> bool {
    let held = |manifest: &&mut Manifest| format!("{}/{}", manifest.kind(), manifest.name()) == object;
    manifests.iter_mut().find(held).is_some_and(|manifest| edit(&mut manifest.value, pointer, value))
}

/// Sets the value at a pointer as [`apply`] does, or removes it with `None`. A step `@x` is the item of a list whose `Sid` is
/// `x`. Says whether it could.
pub fn edit(whole: &mut Value, pointer: &str, value: Option<Value>) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    let last = last.replace("~1", "/").replace("~0", "~");
    let Some(parent) = reach(whole, parent) else { return false };
    match (parent, value) {
        (Value::Object(map), Some(value)) => {
            map.insert(last, value);
            true
        }
        (Value::Object(map), None) => map.remove(&last).is_some(),
        (Value::Array(list), Some(value)) if last == "-" => {
            list.push(value);
            true
        }
        (Value::Array(list), value) => match (place(list, &last), value) {
            (Some(at), Some(value)) => {
                list[at] = value;
                true
            }
            (Some(at), None) => {
                list.remove(at);
                true
            }
            (None, _) => false,
        },
        _ => false,
    }
}

/// Where in a list a step leads.
fn place(list: &[Value], step: &str) -> Option<usize> {
    match step.strip_prefix('@') {
        Some(sid) => list.iter().position(|item| item["Sid"] == sid),
        None => step.parse().ok().filter(|at| *at < list.len()),
    }
}

fn reach<'a>(mut value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        value = match value {
            Value::Object(map) => map.entry(step).or_insert_with(|| Value::Object(serde_json::Map::new())),
            Value::Array(list) => {
                let at = place(list, &step)?;
                list.get_mut(at)?
            }
            _ => return None,
        };
    }
    Some(value)
}
