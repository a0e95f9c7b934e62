//! UD2013: a unit that may do more than fits into a role.

use super::{Subject, of_unit};
use crate::capabilities::POLICY_CHARACTERS;
use crate::names::{Ending, logical};
use serde_json::{Map, Value};
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2013",
    title: "a unit with more rights than a role can hold",
    text: "\
A unit's function has a role, whose policies have 10,240 characters together. Each resource that a handler of the unit reaches
takes a few hundred of them, since it is allowed by its name: some twenty stores that are read and written are too many.

```toml
[placement]
default = \"app\"      # of handlers that write to twenty-five stores
```

Give the handlers units of their own, each of which reaches less, or put only those together that reach the same:

```toml
[placement]
default = \"handler\"
```

A single handler that reaches so much is split: a function or a queue's consumer does a part of its work, with a part of its
rights.
",
};

pub(crate) fn check(subject: &Subject<'_>, template: &Value, sink: &mut Sink) {
    let resources = &template["Resources"];
    for unit in subject.units {
        let document = &resources[logical(&unit.id, Ending::Role)]["Properties"]["Policies"][0]["PolicyDocument"];
        let characters = completed(document, resources).to_string().chars().count();
        if characters > POLICY_CHARACTERS {
            let message = format!(
                "unit {} reaches so much that its role may have {characters} characters, and IAM allows {POLICY_CHARACTERS}",
                unit.id
            );
            let mut diagnostic = Diagnostic::error("UD2013", message);
            if let Some(most) = of_unit(subject, &unit.id).max_by_key(|handler| handler.grants.len()) {
                let count = most.grants.len();
                diagnostic = diagnostic.label(&most.place, format!("of this unit; reaches {count} resources"));
            }
            sink.push(diagnostic.help("split the unit: `[placement] default = \"handler\"`, or smaller groups"));
        }
    }
}

/// A policy with the longest that CloudFormation may put where something is named.
fn completed(value: &Value, resources: &Value) -> Value {
    match value {
        Value::Object(map) => match map.iter().next() {
            Some((key, inner)) if map.len() == 1 && (key == "Ref" || key.starts_with("Fn::")) => {
                named(inner, resources)
            }
            _ => Value::Object(
                map.iter().map(|(key, inner)| (key.clone(), completed(inner, resources))).collect::<Map<_, _>>(),
            ),
        },
        Value::Array(list) => Value::Array(list.iter().map(|inner| completed(inner, resources)).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar.clone(),
    }
}

/// An ARN: of a name that CloudFormation makes from the stack's (of 32 characters), the logical id, and random ones.
fn named(of: &Value, resources: &Value) -> Value {
    const REST: usize = "arn:aws-us-gov:secretsmanager:ap-southeast-1:123456789012:log-group:/*".len();
    let text = of[0].as_str().or(of.as_str()).unwrap_or_default();
    let logical = text.trim_start_matches("${").split(['.', '}']).next().unwrap_or_default();
    let longest = match resources[logical]["Type"].as_str() {
        Some("AWS::SQS::Queue") => 80,
        Some("AWS::Lambda::Alias" | "AWS::S3::Bucket") => 64 + ":live".len(),
        _ => 255,
    };
    let name = 32 + "-".len() + logical.len() + "-0123456789AB".len();
    Value::String("x".repeat(REST + name.min(longest)))
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, reaching},
    };
    use updraft_model::{Access, Kind};

    #[test]
    fn stores_that_are_read_and_written() {
        let mut plan = fixture::shop();
        reaching(&mut plan, "shop::orders::get_order", (Kind::Store, "stock"), Access::ReadWrite, 12);
        assert_eq!(codes(&plan), Vec::<&str>::new());
        let mut plan = fixture::shop();
        reaching(&mut plan, "shop::orders::get_order", (Kind::Store, "stock"), Access::ReadWrite, 22);
        assert_eq!(codes(&plan), ["UD2013"]);
    }
}
