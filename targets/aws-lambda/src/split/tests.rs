//! What is cut can be put together again, and is then what it was.

use super::*;
use crate::checks::fixture;
use crate::lower::lower;
use serde_json::Value;
use updraft_model::{Plan, Unit};

/// With so many resources in a stack.
fn cut(plan: &mut Plan, most: u32) -> (Template, Stacks) {
    plan.settings.aws_lambda.resources_per_stack = Some(most);
    let whole = |plan: &Plan| {
        let source = Source::new(&plan.app, &plan.units, &plan.settings, "0".to_owned()).unwrap();
        (lower(&source).unwrap().template, split(lower(&source).unwrap().template, &source).unwrap())
    };
    whole(plan)
}

fn value(template: &Template) -> Value {
    serde_json::to_value(template).unwrap()
}

/// What CloudFormation makes of several stacks: what is told and chosen is put where it is named.
fn together(stacks: &Stacks, functions: &BTreeMap<String, String>) -> Value {
    let mut whole = value(&stacks.main);
    let mut told = whole["Resources"].clone();
    for part in stacks.parts.values() {
        told.as_object_mut().unwrap().extend(value(part)["Resources"].as_object().unwrap().clone());
    }
    for part in stacks.parts.values() {
        let mut part = value(part);
        for (name, mut resource) in std::mem::take(part["Resources"].as_object_mut().unwrap()) {
            resolve(&mut resource, &told, functions);
            // What a part begins with is no more than the part's.
            if resource["DependsOn"] == json!(["Part"]) {
                resource.as_object_mut().unwrap().remove("DependsOn");
            }
            if let Some(properties) = resource["Properties"].as_object_mut().filter(|_| resource_is_function(&name)) {
                properties.remove("FunctionName").unwrap();
            }
            whole["Resources"][name] = resource;
        }
    }
    for resource in whole["Resources"].as_object_mut().unwrap().values_mut() {
        resolve(resource, &told, functions);
    }
    whole
}

fn resource_is_function(name: &str) -> bool {
    name.ends_with("Function")
}

/// `Fn::Select` of what is told, and ARNs of functions, become what they stand for.
fn resolve(value: &mut Value, told: &Value, functions: &BTreeMap<String, String>) {
    let alias = |text: &str| {
        let function = text.strip_suffix(":live")?.rsplit_once("}-")?.1;
        functions.iter().find(|(_, called)| *called == function).map(|(alias, _)| alias.clone())
    };
    if let Some(of) = value.get("Fn::Select").cloned() {
        let given = of[1]["Ref"].as_str().unwrap_or_else(|| panic!("{value}"));
        let name = given.strip_suffix("Given").unwrap();
        let texts = &told[format!("{name}Parameter")]["Properties"]["Value"];
        let at: usize = of[0].as_str().unwrap().parse().unwrap();
        let text = match texts.get("Fn::Sub") {
            Some(text) => text.as_str().unwrap().split(',').nth(at).unwrap().to_owned(),
            None => {
                *value = texts.clone();
                return;
            }
        };
        let text = text.trim_start_matches("${").trim_end_matches('}');
        *value = text
            .split_once('.')
            .map_or_else(|| json!({ "Ref": text }), |(name, attribute)| json!({ "Fn::GetAtt": [name, attribute] }));
        return;
    }
    if let Some(text) = value.get("Fn::Sub").and_then(Value::as_str).map(str::to_owned) {
        if let Some(alias) = alias(&text) {
            *value = json!({ "Ref": alias });
            return;
        }
        let mut text = text.replace("${Application}", "${AWS::StackName}");
        for (alias, called) in functions {
            let arn = format!(
                "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:${{AWS::StackName}}-{called}:live"
            );
            text = text.replace(&arn, &format!("${{{alias}}}"));
        }
        *value = json!({ "Fn::Sub": text });
        return;
    }
    // A text with values of its own: all of ours are told.
    if let Some([text, own]) = value.get("Fn::Sub").and_then(Value::as_array).map(Vec::as_slice) {
        let (mut text, mut own) = (text.as_str().unwrap().to_owned(), own.clone());
        if own.get("Stack").is_some() {
            return;
        }
        for (name, value) in own.as_object_mut().unwrap() {
            resolve(value, told, functions);
            let hole = match (value["Ref"].as_str(), value["Fn::GetAtt"].as_array()) {
                (Some(name), _) => format!("${{{name}}}"),
                (_, Some(of)) => format!("${{{}.{}}}", of[0].as_str().unwrap(), of[1].as_str().unwrap()),
                _ => panic!("{value}"),
            };
            text = text.replace(&format!("${{{name}}}"), &hole);
        }
        *value = json!({ "Fn::Sub": text });
        resolve(value, told, functions);
        return;
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| resolve(value, told, functions)),
        Value::Array(items) => items.iter_mut().for_each(|value| resolve(value, told, functions)),
        _ => {}
    }
}

/// The names of functions behind the stack's, by their aliases.
fn names(stacks: &Stacks) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for part in stacks.parts.values() {
        for (alias, resource) in part.resources.iter().filter(|(_, found)| found.kind == "AWS::Lambda::Alias") {
            let function = resource.properties["FunctionName"]["Ref"].as_str().unwrap();
            let name = &part.resources[function].properties["FunctionName"]["Fn::Sub"];
            names.insert(alias.clone(), name.as_str().unwrap().strip_prefix("${Application}-").unwrap().to_owned());
        }
    }
    names
}

#[test]
fn what_one_stack_holds_is_one() {
    let (whole, stacks) = cut(&mut fixture::shop(), 500);
    assert!(stacks.parts.is_empty());
    assert_eq!(value(&whole), value(&stacks.main));
}

#[test]
fn parts_put_together_are_the_whole() {
    let rollout = |plan: &mut Plan| {
        plan.settings.aws_lambda.rollout = Some(updraft_model::settings::Rollout::Canary { minutes: 5 });
    };
    for more in [(|_| {}) as fn(&mut Plan), rollout] {
        let mut plan = fixture::shop();
        more(&mut plan);
        let (whole, stacks) = cut(&mut plan, 20);
        assert!(stacks.parts.len() > 2, "{:?}", stacks.parts.keys());
        let names = names(&stacks);
        assert_eq!(names.len(), plan.units.len());
        let (whole, mut together) = (value(&whole), together(&stacks, &names));
        let added = |name: &str| name.ends_with("Parameter") || name == "Release" || name == "Part";
        together["Resources"].as_object_mut().unwrap().retain(|name, _| !added(name));
        assert_eq!(
            serde_json::to_string_pretty(&whole["Resources"]).unwrap(),
            serde_json::to_string_pretty(&together["Resources"]).unwrap()
        );
        assert_eq!(whole["Outputs"], together["Outputs"]);
    }
}

/// What keeps something, and what leads to functions, is where it was before there were parts.
#[test]
fn nothing_that_keeps_leaves_the_main_stack() {
    let (_, stacks) = cut(&mut fixture::shop(), 20);
    let functions = ["Lambda", "IAM", "Logs", "SSM"];
    for part in stacks.parts.values() {
        let kinds = part.resources.values().map(|resource| resource.kind);
        assert!(kinds.into_iter().all(|kind| functions.contains(&kind.split("::").nth(1).unwrap())));
        assert!(part.resources() <= 20 && part.parameters.len() <= 200);
    }
    assert!(stacks.main.resources.values().all(|resource| !resource.kind.starts_with("AWS::Lambda::")));
}

/// What modules keep is theirs, whatever else there is; what all share is the main stack's.
#[test]
fn modules_may_have_what_they_keep() {
    let mut plan = fixture::shop();
    plan.settings.aws_lambda.data = DataStacks::Module;
    let (whole, stacks) = cut(&mut plan, 400);
    let names = names(&stacks);
    let mut together = together(&stacks, &names);
    let added = |name: &str| name.ends_with("Parameter") || name == "Release" || name == "Part";
    together["Resources"].as_object_mut().unwrap().retain(|name, _| !added(name));
    assert_eq!(
        serde_json::to_string_pretty(&value(&whole)["Resources"]).unwrap(),
        serde_json::to_string_pretty(&together["Resources"]).unwrap()
    );
    let of = |part: &str| stacks.parts[part].resources.keys().filter(|name| !added(name)).cloned().collect::<Vec<_>>();
    let kept = of("shop-mail--data");
    assert!(kept.contains(&"ShopMailEmailCustomerX969ed7d3Inbox".to_owned()), "{kept:?}");
    let shared = ["ShippedTopic", "HttpApi", "Release"];
    assert!(shared.iter().all(|name| stacks.main.resources.contains_key(*name)));
    // With fewer handlers, what is left is where it was.
    plan.app.handlers.retain(|handler| handler.krate == "shop");
    let ids: BTreeSet<String> = plan.app.handlers.iter().map(|handler| handler.id.clone()).collect();
    plan.units.retain(|unit| unit.handlers.is_subset(&ids));
    let (_, fewer) = cut(&mut plan, 400);
    assert_eq!(
        fewer.parts["shop-mail--data"].resources.keys().filter(|name| !added(name)).cloned().collect::<Vec<_>>(),
        kept
    );
}

/// A URL is its function's: if that went, whoever knows it would ask nobody.
#[test]
fn a_function_with_a_url_stays() {
    let mut plan = fixture::shop();
    let (public, rest) = plan.app.handlers.iter().partition::<Vec<_>, _>(|handler| handler.trigger.route().is_some());
    let unit = |id: &str, handlers: &[&Handler]| Unit {
        id: id.into(),
        handlers: handlers.iter().map(|handler| handler.id.clone()).collect(),
    };
    let mut units = vec![unit("web", &public)];
    units.extend(rest.into_iter().map(|handler| unit(&handler.id.replace("::", "-"), &[handler])));
    plan.units = units;
    plan.settings.aws_lambda.http = updraft_model::settings::Entry::FunctionUrl;
    let (whole, stacks) = cut(&mut plan, 20);
    let names = names(&stacks);
    assert_eq!(names.len() + 1, plan.units.len());
    for name in ["WebFunction", "WebFunctionUrl", "WebRole", "WebAlias"] {
        assert!(stacks.main.resources.contains_key(name), "{name}");
    }
    let mut together = together(&stacks, &names);
    let added = |name: &str| name.ends_with("Parameter") || name == "Release" || name == "Part";
    together["Resources"].as_object_mut().unwrap().retain(|name, _| !added(name));
    assert_eq!(value(&whole)["Resources"], together["Resources"]);
    assert_eq!(value(&whole)["Outputs"], together["Outputs"]);
}

/// A part is given all that it names, and nothing else; so is the main stack.
#[test]
fn parameters_are_those_that_are_named() {
    let (_, stacks) = cut(&mut fixture::shop(), 20);
    for template in stacks.all() {
        let mut named = BTreeSet::new();
        let mut value = value(template);
        let mut note = |name: &str, _: Option<&str>| {
            named.insert(name.to_owned());
            Ok(Stand::Itself)
        };
        rename(&mut value["Resources"], &mut note).unwrap();
        let of = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
        let (parameters, resources) = (of(&value["Parameters"]), of(&value["Resources"]));
        assert!(parameters.is_subset(&named), "{parameters:?} {named:?}");
        let unknown = |name: &&String| !name.starts_with("AWS::") && !parameters.contains(*name) && *name != "Stack";
        let unknown: Vec<&String> = named.iter().filter(unknown).filter(|name| !resources.contains(*name)).collect();
        assert_eq!(unknown, Vec::<&String>::new());
    }
}

/// As long as there is something of a part, it is found by what says so.
#[test]
fn a_part_begins_and_ends_with_its_mark() {
    let (_, stacks) = cut(&mut fixture::shop(), 20);
    for template in stacks.parts.values() {
        let mut reached = BTreeSet::from(["Part".to_owned()]);
        // Each resource comes after the mark, or after one that does.
        loop {
            let before = reached.len();
            for (name, resource) in &template.resources {
                let mut after = resource.depends_on.iter().any(|other| reached.contains(other));
                let mut note = |name: &str, _: Option<&str>| {
                    after |= reached.contains(name);
                    Ok(Stand::Itself)
                };
                rename(&mut resource.properties.clone(), &mut note).unwrap();
                reached.extend(after.then(|| name.clone()));
            }
            if reached.len() == before {
                break;
            }
        }
        assert_eq!(reached.len(), template.resources());
    }
}

/// Functions of an image are others than those of a zip, and can be there beside them.
#[test]
fn an_image_has_parts_of_its_own() {
    let mut plan = fixture::shop();
    let (_, zips) = cut(&mut plan, 20);
    plan.settings.aws_lambda.package = Package::Image;
    let (_, images) = cut(&mut plan, 20);
    assert!(images.parts.keys().all(|part| part.ends_with("--image") && !zips.parts.contains_key(part)));
    let names = [names(&zips), names(&images)].map(|names| names.into_values().collect::<BTreeSet<_>>());
    assert!(names[0].is_disjoint(&names[1]));
}

/// Whatever becomes of a part, the main stack is another, so that it says what is live.
#[test]
fn the_main_stack_knows_its_parts() {
    let release = |plan: &mut Plan| value(&cut(plan, 20).1.main)["Resources"]["Release"].clone();
    let before = release(&mut fixture::shop());
    assert_eq!(before, release(&mut fixture::shop()));
    let mut plan = fixture::shop();
    let unit = plan.units[0].id.clone();
    let function = updraft_model::settings::LambdaFunction { memory: Some(1024), ..Default::default() };
    plan.settings.aws_lambda.functions.insert(unit, function);
    assert_ne!(before, release(&mut plan));
    // So it does if only it changes.
    let mut plan = fixture::shop();
    plan.settings.aws_lambda.throttle.rate = Some(7);
    let main = cut(&mut plan, 20).1.main;
    assert_eq!(main.metadata.updraft.parts, cut(&mut fixture::shop(), 20).1.main.metadata.updraft.parts);
    assert_ne!(before, value(&main)["Resources"]["Release"]);
}

#[test]
fn names_of_functions_are_names() {
    let long = "a-unit-with-a-name-that-is-longer-than-it-looks";
    let names = [called("shop", long), called("shop-orders", long), called("shop", "ß::_")];
    assert!(names.iter().all(|name| name.len() < 64 - LONGEST_STACK && !name.starts_with('-')), "{names:?}");
    assert_ne!(names[0], names[1]);
}

/// As many as there are, and no more stacks than they need.
#[test]
fn a_thousand_functions() {
    let mut plan = fixture::shop();
    let function = plan.app.handler("shop::pricing::quote").unwrap().clone();
    for at in 0..1_000 {
        let mut function = function.clone();
        function.module = format!("zoo{}", at % 20);
        function.id = format!("shop::{}::function{at:04}", function.module);
        plan.units.push(Unit { id: function.id.replace("::", "-"), handlers: [function.id.clone()].into() });
        plan.app.handlers.push(function);
    }
    let (whole, stacks) = cut(&mut plan, 450);
    let least = whole.resources() / 450;
    assert!((least..=least * 2).contains(&stacks.parts.len()), "{least} {:?}", stacks.parts.keys());
    assert!(stacks.all().all(|template| template.resources() <= 450));
}
