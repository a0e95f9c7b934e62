//! What stacks are while others change: old and new at once, so that every function finds what it names, and requests go where
//! they went.

use crate::stack::{self, sorted};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Resources of a stack.
pub(crate) const MOST_RESOURCES: usize = 500;
/// Parameters of a template.
pub(crate) const MOST_PARAMETERS: usize = 200;
/// What says which version is live where there are parts.
const RELEASE: &str = "Release";
/// What says that a part is there: in each of its templates, and the same.
const MARK: &str = "Part";
/// What leads to functions, and is led to others last.
const LEADING: [&str; 3] = ["AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::Scheduler::Schedule"];
/// What has a function get messages as soon as it is there.
const MAPPING: &str = "AWS::Lambda::EventSourceMapping";

/// Where a main stack's step leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    /// The version that all will be.
    pub(crate) version: &'a str,
    /// Its parts.
    pub(crate) parts: &'a [&'a str],
}

/// The step between two templates of a stack that keeps something or leads to functions; `None` if the others can change
/// without one.
///
/// All that is new is there already, all that goes is there still. Only what leads to functions, or calls some, stays as it is
/// until they are there; and so does what says which version is live.
pub(crate) fn between(old: &Value, new: &Value) -> Option<Value> {
    let (before, after) = (resources(old), resources(new));
    let late = late(before, after);
    let mut merged = before.clone();
    let early = after.iter().filter(|(name, _)| !late.contains(name.as_str()));
    merged.extend(early.map(|(name, one)| (name.clone(), one.clone())));
    (sorted_map(&merged) != sorted_map(before)).then(|| step(old, new, merged))
}

/// The main stack's step: the same, which says in its metadata where it leads. If parts come that nobody knows yet, or it leads
/// elsewhere now, there is one always: whatever becomes of them, they are found.
pub(crate) fn main_between(old: &Value, new: &Value, way: Way<'_>) -> Option<Value> {
    let mut template = between(old, new).or_else(|| {
        let known = known(old);
        // Whoever asks is told where it goes, and by that is found what comes there.
        let comes = way.parts.iter().any(|part| !known.contains(*part));
        let comes = comes || towards(old).is_some_and(|version| version != way.version);
        let on_the_way = Value::from(format!("On the way to version {}", way.version));
        // Metadata alone is no change to CloudFormation.
        let mut release = match resources(old).get(RELEASE).filter(|_| comes) {
            Some(release) => release.clone(),
            None => {
                let mut first = resources(new).get(RELEASE).filter(|_| comes)?.clone();
                first["Properties"]["Value"] = on_the_way.clone();
                first
            }
        };
        release["Properties"]["Description"] = on_the_way;
        let mut all = resources(old).clone();
        all.insert(RELEASE.to_owned(), release);
        Some(step(old, new, all))
    })?;
    note(&mut template, old, way);
    Some(template)
}

/// The main stack's last step but one, of an application that is to have no parts any more: what says that there are some goes
/// when they have gone.
/// `None` if nothing said so, or if the stack is that already.
pub(crate) fn with_release(old: &Value, new: &Value, way: Way<'_>) -> Option<Value> {
    let mut all = resources(new).clone();
    all.insert(RELEASE.to_owned(), resources(old).get(RELEASE)?.clone());
    let mut template = step(old, new, all);
    note(&mut template, old, way);
    (!is_same(&template, old)).then_some(template)
}

/// A part's first step: functions that it is to have and has not, with what is theirs. Nobody knows them yet: what it has stays
/// what it is, and no messages come to them. `None` if there are none.
pub(crate) fn with_functions(old: &Value, new: &Value) -> Option<Value> {
    let (before, after) = (resources(old), resources(new));
    let comes = |(name, one): &(&String, &Value)| !before.contains_key(*name) && one["Type"] != MAPPING;
    let mut merged = before.clone();
    merged.extend(alone(after, comes));
    let comes = merged.iter().any(|(name, one)| is_function(one) && !before.contains_key(name));
    comes.then(|| step(old, new, merged))
}

/// A part's step after that: all that it is to be, and the functions that leave it, which are asked until nobody is led to them.
/// `None` if none leave.
pub(crate) fn with_leaving(old: &Value, new: &Value) -> Option<Value> {
    let (before, after) = (resources(old), resources(new));
    let mut merged = alone(before, |(name, _)| !after.contains_key(*name));
    if !merged.values().any(is_function) {
        return None;
    }
    merged.extend(after.clone());
    Some(step(old, new, merged))
}

/// The step of a part whose functions leave, or which goes: no messages come to them any more. `None` if none do.
pub(crate) fn without_messages(is: &Value, new: &Value) -> Option<Value> {
    let mut left = resources(is).clone();
    left.retain(|name, one| one["Type"] != MAPPING || resources(new).contains_key(name));
    (left.len() < resources(is).len()).then(|| step(is, if new.is_null() { is } else { new }, left))
}

/// What a part is without functions that are given what nobody tells any more: it could not be changed with them, and the main
/// stack, which told of it as long as it led to them, leads to them no more.
pub(crate) fn without_untold(is: &Value, told: &BTreeSet<String>) -> Value {
    let is_untold = |parameter: &Value| path(parameter).is_some_and(|path| !told.contains(path));
    let parameters = is["Parameters"].as_object().into_iter().flatten();
    let mut gone: BTreeSet<String> =
        parameters.filter(|(_, parameter)| is_untold(parameter)).map(|(name, _)| name.clone()).collect();
    let mut left = resources(is).clone();
    loop {
        let goes = |(_, one): &(&String, &Value)| names(one).iter().any(|name| gone.contains(name));
        let more: Vec<String> = left.iter().filter(goes).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            return if left.len() < resources(is).len() { step(is, is, left) } else { is.clone() };
        }
        left.retain(|name, _| !more.contains(name));
        gone.extend(more);
    }
}

/// What a stack of this template tells others, as they ask for it: `resources/StockTable`.
pub(crate) fn told(template: &Value) -> BTreeSet<String> {
    let name = |one: &Value| one["Properties"]["Name"]["Fn::Sub"].as_str().and_then(below).map(str::to_owned);
    resources(template).values().filter(|one| one["Type"] == "AWS::SSM::Parameter").filter_map(name).collect()
}

/// Where a part's parameter is told of, if it is told.
fn path(parameter: &Value) -> Option<&str> {
    let is_told = parameter["Type"].as_str().is_some_and(|kind| kind.starts_with("AWS::SSM::"));
    parameter["Default"].as_str().filter(|_| is_told).and_then(below)
}

/// What follows an application's name in a path.
pub(crate) fn below(path: &str) -> Option<&str> {
    Some(path.strip_prefix("/updraft/")?.split_once('/')?.1)
}

/// Whether CloudFormation would make the same of both: it looks at neither metadata nor descriptions, nor for the order in which
/// resources came. What a parameter is given where nothing else is, is the same under every name of an application.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    let section = |template: &Value, name: &str, words: &[&str]| {
        let mut section = sorted(&template[name]);
        for entry in section.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(path) = path(entry).map(Value::from) {
                entry["Default"] = path;
            } else if name == "Parameters" {
                entry.as_object_mut().map(|entry| entry.remove("Default"));
            }
            for word in words {
                entry.as_object_mut().map(|entry| entry.remove(*word));
            }
        }
        section
    };
    [("Parameters", &["Description"][..]), ("Resources", &["DependsOn"]), ("Outputs", &["Description"])]
        .iter()
        .all(|(name, words)| section(one, name, words) == section(other, name, words))
}

/// Where a part's parameters are told of.
pub(crate) fn given(template: &Value) -> impl Iterator<Item = &str> {
    template["Parameters"].as_object().into_iter().flatten().filter_map(|(_, parameter)| path(parameter))
}

/// The version that a template is a step to, if it is one.
pub(crate) fn towards(template: &Value) -> Option<&str> {
    template["Metadata"]["updraft"]["between"].as_str()
}

/// The names of the parts that a main stack's template says may be there.
pub(crate) fn known(template: &Value) -> BTreeSet<&str> {
    let note = &template["Metadata"]["updraft"];
    let parts = note["parts"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    parts.chain(note["coming"].as_array().into_iter().flatten().filter_map(Value::as_str)).collect()
}

/// What a template is called, whichever step it is of.
pub(crate) fn version(template: &Value, code_key: &str) -> String {
    towards(template).map_or_else(|| stack::version(template, code_key), str::to_owned)
}

/// What is kept as it is until functions are there: what leads to them, what calls them and has others to call now, and what
/// refers to any of that.
fn late<'t>(before: &Map<String, Value>, after: &'t Map<String, Value>) -> BTreeSet<&'t str> {
    let turns = |(name, one): &(&String, &Value)| before.get(*name).is_none_or(|was| sorted(was) != sorted(one));
    let turning: Vec<(&String, &Value)> = after.iter().filter(turns).collect();
    let is_first = |(name, one): &&(&'t String, &'t Value)| {
        let leads = one["Type"].as_str().is_some_and(|kind| LEADING.contains(&kind));
        leads || *name == RELEASE || before.get(*name).is_some_and(|was| calls(was) || calls(one))
    };
    let mut late: BTreeSet<&str> = turning.iter().filter(is_first).map(|(name, _)| name.as_str()).collect();
    loop {
        let refers = |(name, one): &&(&'t String, &'t Value)| {
            let mut named = names(one);
            if one["Type"] == "AWS::SSM::Parameter" {
                // What a stack tells of a resource is the same, whatever else becomes of it.
                named.retain(|name| !before.contains_key(name));
            }
            !late.contains(name.as_str()) && named.iter().any(|name| late.contains(name.as_str()))
        };
        let more: Vec<&str> = turning.iter().filter(refers).map(|(name, _)| name.as_str()).collect();
        if more.is_empty() {
            return late;
        }
        late.extend(more);
    }
}

/// Whether a resource names a function of a part, which is called by an application's name and not found.
fn calls(resource: &Value) -> bool {
    let text = resource.to_string();
    ["${AWS::StackName}", "${Application}"].iter().any(|stack| text.contains(&format!(":function:{stack}-")))
}

fn is_function(resource: &Value) -> bool {
    resource["Type"] == "AWS::Lambda::Function"
}

/// Those of a template's resources that are chosen and are no other function's: a function and its role may name others, which
/// it calls; what else names one that is not chosen belongs to that.
fn alone(all: &Map<String, Value>, chosen: impl Fn(&(&String, &Value)) -> bool) -> Map<String, Value> {
    let chosen: BTreeMap<&String, BTreeSet<String>> =
        all.iter().filter(|one| chosen(one)).map(|(name, one)| (name, names(one))).collect();
    let calls = |name: &String| is_function(&all[name]) || all[name]["Type"] == "AWS::IAM::Role";
    let mut alone = chosen.clone();
    loop {
        let is_theirs = |name: &String, other: &String| {
            let is_other = other == MARK || !all.contains_key(other) || (calls(name) && !chosen.contains_key(other));
            is_other || alone.contains_key(other)
        };
        let belongs = |(name, names): &(&&String, &BTreeSet<String>)| names.iter().all(|other| is_theirs(name, other));
        let kept: BTreeSet<&String> = alone.iter().filter(belongs).map(|(name, _)| *name).collect();
        if kept.len() == alone.len() {
            return kept.into_iter().map(|name| (name.clone(), all[name].clone())).collect();
        }
        alone.retain(|name, _| kept.contains(name));
    }
}

/// A template between two others, with these resources: what they name it is given, and it tells what it can.
fn step(old: &Value, new: &Value, resources: Map<String, Value>) -> Value {
    let mut template = new.clone();
    let resources = Value::Object(resources);
    let named = names(&resources);
    let entries = |template: &Value, section: &str| template[section].as_object().cloned().unwrap_or_default();
    let mut parameters = entries(old, "Parameters");
    parameters.extend(entries(new, "Parameters"));
    parameters.retain(|name, _| named.contains(name));
    let is_known =
        |name: &String| name.contains("::") || parameters.contains_key(name) || resources.get(name.as_str()).is_some();
    let mut outputs = Map::new();
    for (name, output) in entries(new, "Outputs") {
        let can_be_told = |output: &&Value| !output.is_null() && names(output).iter().all(is_known);
        let told = [&output, &old["Outputs"][&name]].into_iter().find(can_be_told).cloned();
        outputs.extend(told.map(|told| (name, told)));
    }
    template["Parameters"] = parameters.into();
    template["Resources"] = resources;
    if outputs.is_empty() {
        template.as_object_mut().map(|template| template.remove("Outputs"));
    } else {
        template["Outputs"] = outputs.into();
    }
    template
}

/// Says where a main stack's step leads. Whatever goes is let go of by the last one.
fn note(template: &mut Value, old: &Value, way: Way<'_>) {
    let coming: BTreeSet<&str> = known(old).into_iter().chain(way.parts.iter().copied()).collect();
    let note = &mut template["Metadata"]["updraft"];
    note["between"] = way.version.into();
    note["coming"] = coming.into_iter().collect();
    note["parts"] = old["Metadata"]["updraft"]["parts"].clone();
}

/// The resources and parameters that a value names.
fn names(value: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    find(value, &mut names);
    names
}

fn find(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("Ref" | "DependsOn", Value::String(name)) => names.extend([name.clone()]),
                    ("DependsOn", Value::Array(all)) => {
                        names.extend(all.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::GetAtt", Value::Array(of)) => {
                        names.extend(of.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::Sub", Value::String(text)) => holes(text, names),
                    ("Fn::Sub", Value::Array(both)) => {
                        both.first().and_then(Value::as_str).into_iter().for_each(|text| holes(text, names));
                        both.iter().skip(1).for_each(|own| find(own, names));
                    }
                    _ => find(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|value| find(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a text has `${…}` of. One that it brings a value for is called like nothing else.
fn holes(text: &str, names: &mut BTreeSet<String>) {
    let named = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
    let names_of = named.map(|(name, _)| name.split_once('.').map_or(name, |(name, _)| name));
    names.extend(names_of.filter(|name| !name.starts_with('!')).map(str::to_owned));
}

fn resources(template: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    template["Resources"].as_object().unwrap_or(&NONE)
}

fn sorted_map(map: &Map<String, Value>) -> BTreeMap<&String, Value> {
    map.iter().map(|(name, one)| (name, sorted(one))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WAY: Way<'_> = Way { version: "0123", parts: &["a"] };

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
        let step = main_between(&old, &new, WAY).unwrap();
        let expected = json!({
            "Old": queue, "New": queue, "Route": route("old"), "Gone": route("old"), "Release": release("a"),
        });
        assert_eq!(step["Resources"], expected);
        assert_eq!((towards(&step), version(&step, "k").as_str()), (Some("0123"), "0123"));
        assert_eq!((towards(&new), known(&step)), (None, BTreeSet::from(["a"])));
        // From there it goes on as from the old one, and what was to come is not forgotten.
        assert_eq!(main_between(&step, &new, WAY), None);
        let other = main_between(&step, &new, Way { version: "4567", parts: &["b"] }).unwrap();
        assert_eq!((towards(&other), known(&other)), (Some("4567"), BTreeSet::from(["a", "b"])));
    }

    #[test]
    fn where_only_routes_and_code_change_there_is_no_step() {
        let mut old = template(json!({ "Queue": { "Type": "AWS::SQS::Queue" }, "Release": release("a") }));
        old["Metadata"]["updraft"]["parts"] = json!({ "a": "hash" });
        let new = template(json!({ "Queue": { "Type": "AWS::SQS::Queue" }, "Release": release("b") }));
        assert_eq!(main_between(&old, &new, WAY), None);
        // But for a part that nobody would find if it were not made.
        let coming = main_between(&old, &new, Way { version: "0123", parts: &["a", "b"] }).unwrap();
        assert_eq!(known(&coming), BTreeSet::from(["a", "b"]));
        assert_eq!(coming["Resources"]["Release"]["Properties"]["Value"], "a");
        assert!(!is_same(&coming, &old), "{coming}");
        assert_eq!(with_release(&old, &new, WAY).unwrap()["Resources"][RELEASE], release("a"));
        assert_eq!(with_release(&Value::Null, &new, WAY), None);
    }

    /// What the last step's parts name is given to it, whatever of it the new template asks for.
    #[test]
    fn a_step_asks_for_what_it_names() {
        let release = json!({ "Type": "AWS::SSM::Parameter", "Properties": { "Value": { "Ref": "CodeKey" } } });
        let old = template(json!({ "Release": release }));
        let new = json!({
            "Parameters": { "CodeImage": { "Type": "String" } },
            "Resources": { "Function": { "Type": "AWS::Lambda::Function", "Properties": { "Uri": { "Ref": "CodeImage" } } } },
            "Outputs": { "Told": { "Value": { "Fn::Sub": "${Function.Arn}" } } },
        });
        let step = with_release(&old, &new, WAY).unwrap();
        let asked: Vec<&String> = step["Parameters"].as_object().unwrap().keys().collect();
        assert_eq!(asked, ["CodeImage", "CodeKey"]);
        assert_eq!(step["Outputs"], new["Outputs"]);
    }

    #[test]
    fn all_that_a_value_names() {
        let value = json!({
            "DependsOn": ["A"],
            "Properties": {
                "b": [{ "Ref": "B" }], "c": { "Fn::GetAtt": ["C", "Arn"] }, "d": { "Fn::Sub": "${D}/${E.Arn}${!No}" },
                "f": { "Fn::Sub": ["${X}", { "X": { "Fn::Select": ["0", { "Ref": "F" }] } }] },
            },
        });
        let names = names(&value);
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["A", "B", "C", "D", "E", "F", "X"]);
    }
}
