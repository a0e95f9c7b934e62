//! What the main stack is while parts change: old and new at once, so that every function finds what it names, and requests go
//! where they went.

use crate::stack::{self, sorted};
use serde_json::{Map, Value};

/// Resources of a stack.
pub(crate) const MOST_RESOURCES: usize = 500;

/// The main stack's step between two templates; `None` if parts can change without one.
///
/// All that is new is there already, all that goes is there still. Requests are led to new functions last, when those are
/// there: routes stay as they are, and so does what says which version is live.
pub(crate) fn between(old: &Value, new: &Value, version: &str) -> Option<Value> {
    let (before, after) = (resources(old), resources(new));
    let is_last = |resource: &Value| {
        let kind = resource["Type"].as_str().unwrap_or_default();
        ["AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration"].contains(&kind)
    };
    let mut merged = before.clone();
    for (name, resource) in after {
        if !is_last(resource) && name != RELEASE {
            merged.insert(name.clone(), resource.clone());
        }
    }
    if sorted(&Value::Object(merged.clone())) == sorted(&Value::Object(before.clone())) {
        return None;
    }
    let mut template = new.clone();
    let mut parameters = old["Parameters"].as_object().cloned().unwrap_or_default();
    parameters.extend(new["Parameters"].as_object().cloned().unwrap_or_default());
    template["Parameters"] = parameters.into();
    template["Resources"] = merged.into();
    template["Metadata"]["updraft"]["between"] = version.into();
    // Whatever goes is let go of by the last step.
    template["Metadata"]["updraft"]["parts"] = old["Metadata"]["updraft"]["parts"].clone();
    Some(template)
}

/// The main stack's last step but one, of an application that is to have no parts any more: what says that there are some goes
/// when they have gone.
/// `None` if nothing said so.
pub(crate) fn with_release(old: &Value, new: &Value, version: &str) -> Option<Value> {
    let mut template = new.clone();
    template["Resources"][RELEASE] = resources(old).get(RELEASE)?.clone();
    let note = &mut template["Metadata"]["updraft"];
    note["between"] = version.into();
    note["parts"] = old["Metadata"]["updraft"]["parts"].clone();
    Some(template)
}

/// The version that a template is a step to, if it is one.
pub(crate) fn towards(template: &Value) -> Option<&str> {
    template["Metadata"]["updraft"]["between"].as_str()
}

/// What says which version is live where there are parts.
const RELEASE: &str = "Release";

fn resources(template: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    template["Resources"].as_object().unwrap_or(&NONE)
}

/// What a template is called, whichever step it is of.
pub(crate) fn version(template: &Value, code_key: &str) -> String {
    towards(template).map_or_else(|| stack::version(template, code_key), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(resources: Value) -> Value {
        json!({ "Parameters": { "CodeKey": { "Type": "String" } }, "Resources": resources })
    }

    fn release(parts: &str) -> Value {
        json!({ "Type": "AWS::SSM::Parameter", "Properties": { "Value": parts } })
    }

    #[test]
    fn old_and_new_are_there_and_routes_stay() {
        let route = |to: &str| json!({ "Type": "AWS::ApiGatewayV2::Route", "Properties": { "Target": to } });
        let queue = json!({ "Type": "AWS::SQS::Queue" });
        let old =
            template(json!({ "Old": queue, "Route": route("old"), "Gone": route("old"), "Release": release("a") }));
        let new =
            template(json!({ "New": queue, "Route": route("new"), "Came": route("new"), "Release": release("b") }));
        let step = between(&old, &new, "0123").unwrap();
        let expected = json!({
            "Old": queue, "New": queue, "Route": route("old"), "Gone": route("old"), "Release": release("a"),
        });
        assert_eq!(step["Resources"], expected);
        assert_eq!((towards(&step), version(&step, "k").as_str()), (Some("0123"), "0123"));
        assert_eq!(towards(&new), None);
        // From there it goes on as from the old one.
        assert_eq!(between(&step, &new, "0123"), None);
    }

    #[test]
    fn where_only_routes_and_code_change_there_is_no_step() {
        let old = template(json!({ "Queue": { "Type": "AWS::SQS::Queue" }, "Release": release("a") }));
        let new = template(json!({ "Queue": { "Type": "AWS::SQS::Queue" }, "Release": release("b") }));
        assert_eq!(between(&old, &new, "0123"), None);
        assert_eq!(with_release(&old, &new, "1").unwrap()["Resources"][RELEASE], release("a"));
        assert_eq!(with_release(&Value::Null, &new, "1"), None);
    }
}
