//! Names in a template: what stands for each where its resource is in another.

use crate::template::Broken;
use serde_json::{Map, Value, json};

/// What stands for a name, or for an attribute of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It is known here.
    Itself,
    /// Another name.
    Name(&'static str),
    /// A text with names in it, as `Fn::Sub` reads it.
    Text(String),
    /// A value, and what it is called where it is put into a text.
    Value(String, Value),
}

/// Decides what stands for a name, with an attribute if one is asked for.
pub(super) type Decide<'d> = dyn FnMut(&str, Option<&str>) -> Result<Stand, Broken> + 'd;

/// Puts what stands for them in the place of all names in a value.
pub(super) fn rename(value: &mut Value, decide: &mut Decide<'_>) -> Result<(), Broken> {
    if let Some(stand) = reference(value, decide)? {
        match stand {
            Stand::Itself => {}
            Stand::Name(name) => *value = json!({ "Ref": name }),
            Stand::Text(text) => *value = json!({ "Fn::Sub": text }),
            Stand::Value(_, known) => *value = known,
        }
        return Ok(());
    }
    match value {
        Value::Object(map) => match map.get_mut("Fn::Sub") {
            Some(text) => sub(text, decide),
            None => map.values_mut().try_for_each(|value| rename(value, decide)),
        },
        Value::Array(items) => items.iter_mut().try_for_each(|item| rename(item, decide)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// What stands for a `Ref` or `Fn::GetAtt`; `None` if it is neither.
fn reference(value: &Value, decide: &mut Decide<'_>) -> Result<Option<Stand>, Broken> {
    let Some((key, of)) = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next()) else {
        return Ok(None);
    };
    match (key.as_str(), of) {
        ("Ref", Value::String(name)) => decide(name, None).map(Some),
        ("Fn::GetAtt", Value::Array(of)) => match &of[..] {
            [Value::String(name), Value::String(attribute)] => decide(name, Some(attribute)).map(Some),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A `Fn::Sub`: a text, or a text and values of its own.
fn sub(value: &mut Value, decide: &mut Decide<'_>) -> Result<(), Broken> {
    let (text, mut own) = match &*value {
        Value::String(text) => (text.clone(), Map::new()),
        Value::Array(both) => match &both[..] {
            [Value::String(text), Value::Object(own)] => (text.clone(), own.clone()),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    own.values_mut().try_for_each(|value| rename(value, decide))?;
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        let (logical, attribute) = name.split_once('.').map_or((name, None), |(name, of)| (name, Some(of)));
        // `${!x}` is a text that looks like a hole.
        let stand =
            if name.starts_with('!') || own.contains_key(name) { Stand::Itself } else { decide(logical, attribute)? };
        match stand {
            Stand::Itself => out.extend(["${", name, "}"]),
            Stand::Name(name) => out.extend(["${", name, "}"]),
            Stand::Text(text) => out.push_str(&text),
            Stand::Value(name, value) => {
                out.extend(["${", name.as_str(), "}"]);
                own.insert(name, value);
            }
        }
    }
    out.push_str(rest);
    *value = if own.is_empty() { out.into() } else { json!([out, own]) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(mut value: Value) -> Value {
        let mut decide = |name: &str, attribute: Option<&str>| {
            Ok(match (name, attribute) {
                ("AWS::StackName", None) => Stand::Name("Application"),
                ("Alias", None) => Stand::Text("arn:${AWS::Partition}:live".to_owned()),
                ("Queue", Some("Arn")) => Stand::Value("QueueArn".to_owned(), json!({ "Ref": "Queue" })),
                _ => Stand::Itself,
            })
        };
        rename(&mut value, &mut decide).unwrap();
        value
    }

    #[test]
    fn names_of_all_forms() {
        let before = json!({
            "a": [{ "Ref": "AWS::StackName" }, { "Ref": "Alias" }, { "Ref": "Mine" }],
            "b": { "Fn::GetAtt": ["Queue", "Arn"] },
            "c": { "Fn::Sub": "${Queue.Arn}/*${!Queue.Arn} ${Mine.Arn} ${AWS::StackName}" },
            "d": { "Fn::Sub": "${Alias}" },
            "e": { "Fn::Sub": ["${Alias} ${X}", { "X": { "Ref": "AWS::StackName" } }] },
            "f": "${Queue.Arn}",
        });
        let after = json!({
            "a": [{ "Ref": "Application" }, { "Fn::Sub": "arn:${AWS::Partition}:live" }, { "Ref": "Mine" }],
            "b": { "Ref": "Queue" },
            "c": { "Fn::Sub": [
                "${QueueArn}/*${!Queue.Arn} ${Mine.Arn} ${Application}", { "QueueArn": { "Ref": "Queue" } },
            ] },
            "d": { "Fn::Sub": "arn:${AWS::Partition}:live" },
            "e": { "Fn::Sub": ["arn:${AWS::Partition}:live ${X}", { "X": { "Ref": "Application" } }] },
            "f": "${Queue.Arn}",
        });
        assert_eq!(renamed(before), after);
    }
}
