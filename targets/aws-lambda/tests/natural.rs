//! What AWS has one of is one resource of a template's, whatever handlers are called: CloudFormation makes what is new before
//! it deletes what is old, and AWS refuses a second one of the same key.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod fixture;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use updraft_aws_lambda::{AwsLambda, PARTS, TEMPLATE};
use updraft_model::settings::{DataStacks, Entry, Package, Rollout};
use updraft_model::{Grant, Kind, ObjectEvent, Plan, Sink, Target, Trigger};

/// What AWS knows a resource by, if it takes no second one of that. A type that is not here yet is to be looked up.
fn key(kind: &str, properties: &Value) -> Option<Value> {
    let of = |names: &[&str]| {
        let values: Vec<&Value> = names.iter().map(|name| &properties[name]).collect();
        assert!(values.iter().all(|value| !value.is_null()), "{kind} {names:?}");
        Some(json!(values))
    };
    // CloudFormation makes a name where there is none: from the logical id, and another each time.
    let if_named = |name: &str| properties.get(name).map(|name| json!([name]));
    match kind {
        "AWS::ApiGatewayV2::Route" => of(&["ApiId", "RouteKey"]),
        "AWS::ApiGatewayV2::Stage" => of(&["ApiId", "StageName"]),
        "AWS::Lambda::Alias" => of(&["FunctionName", "Name"]),
        "AWS::Lambda::EventInvokeConfig" => of(&["FunctionName", "Qualifier"]),
        "AWS::Lambda::EventSourceMapping" => of(&["EventSourceArn", "FunctionName"]),
        "AWS::Lambda::Url" => of(&["TargetFunctionArn", "Qualifier"]),
        // What has been published and has not changed since is not published again.
        "AWS::Lambda::Version" => of(&["FunctionName", "Description"]),
        "AWS::S3::Bucket" => of(&["BucketName"]),
        "AWS::S3::BucketPolicy" => of(&["Bucket"]),
        "AWS::SNS::Subscription" => of(&["TopicArn", "Protocol", "Endpoint"]),
        "AWS::SQS::QueuePolicy" => of(&["Queues"]),
        "AWS::SSM::Parameter" => of(&["Name"]),
        "AWS::CloudWatch::Alarm" => if_named("AlarmName"),
        "AWS::CodeDeploy::Application" => if_named("ApplicationName"),
        "AWS::CodeDeploy::DeploymentGroup" => if_named("DeploymentGroupName"),
        "AWS::DynamoDB::Table" => if_named("TableName"),
        "AWS::IAM::Role" => if_named("RoleName"),
        "AWS::Lambda::Function" => if_named("FunctionName"),
        "AWS::Logs::LogGroup" => if_named("LogGroupName"),
        "AWS::SNS::Topic" => if_named("TopicName"),
        "AWS::SQS::Queue" => if_named("QueueName"),
        "AWS::Scheduler::Schedule" | "AWS::SecretsManager::Secret" => if_named("Name"),
        // AWS chooses their ids, and has as many alike as one likes.
        "AWS::ApiGatewayV2::Api" | "AWS::ApiGatewayV2::Integration" | "AWS::Lambda::Permission" => None,
        _ => panic!("what does AWS have one {kind} of?"),
    }
}

/// The logical id of each thing that there is one of: by stack, type and key.
type Once = BTreeMap<(String, String, String), String>;

/// # Panics
/// If a template has two of something.
fn once(plan: &Plan) -> Once {
    let mut sink = Sink::default();
    let artifacts = AwsLambda.compile(plan, &mut sink);
    let findings = sink.into_sorted();
    let artifacts = artifacts.unwrap_or_else(|| panic!("{findings:#?}"));
    let mut once = Once::new();
    for (path, file) in artifacts.iter().filter(|(path, _)| *path == TEMPLATE || path.starts_with(PARTS)) {
        let template: Value = serde_json::from_slice(&file.bytes).unwrap();
        for (name, resource) in template["Resources"].as_object().unwrap() {
            let kind = resource["Type"].as_str().unwrap();
            let Some(key) = key(kind, &resource["Properties"]) else { continue };
            let other = once.insert((path.to_owned(), kind.to_owned(), key.to_string()), name.clone());
            assert_eq!(other, None, "{path}: {name} is the same {kind}");
        }
    }
    once
}

/// What there is one of keeps its logical id from one plan to another. Returns what both have, by its type.
fn holds(before: &Plan, after: &Plan, of: &str) -> BTreeMap<String, usize> {
    let (before, after) = (once(before), once(after));
    let mut both = BTreeMap::new();
    for (thing, name) in &after {
        let Some(was) = before.get(thing) else { continue };
        assert_eq!(name, was, "{of}: {thing:?}");
        *both.entry(thing.1.clone()).or_default() += 1;
    }
    both
}

/// Gives handlers other ids, and if `units` those units that are called after them; what they are and where stays.
fn renamed(plan: &Plan, units: bool, id: impl Fn(&str) -> String) -> Plan {
    let mut plan = plan.clone();
    let unit = |handler: &str| handler.replace("::", "-").replace('_', "-");
    for handler in &mut plan.app.handlers {
        handler.id = id(&handler.id);
        let grants = std::mem::take(&mut handler.grants).into_iter();
        let called = |grant: Grant| match grant.kind {
            Kind::Function => Grant { resource: id(&grant.resource), ..grant },
            _ => grant,
        };
        handler.grants = grants.map(called).collect();
    }
    plan.app.handlers.sort_by(|one, other| one.id.cmp(&other.id));
    for held in &mut plan.units {
        let own = held.handlers.iter().find(|handler| units && unit(handler) == held.id);
        if let Some(name) = own.map(|handler| unit(&id(handler))) {
            held.id = name;
        }
        held.handlers = held.handlers.iter().map(|handler| id(handler)).collect();
    }
    plan
}

/// Adds a handler like one that is there, in its unit.
fn add(plan: &mut Plan, like: &str, id: &str, trigger: Trigger) {
    let mut handler = plan.app.handler(like).unwrap().clone();
    (handler.id, handler.trigger) = (id.to_owned(), trigger);
    plan.app.handlers.push(handler);
    plan.app.handlers.sort_by(|one, other| one.id.cmp(&other.id));
    let unit = plan.units.iter_mut().find(|unit| unit.handlers.contains(like)).unwrap();
    unit.handlers.insert(id.to_owned());
}

fn http(method: &str, path: &str) -> Trigger {
    Trigger::Http { method: method.into(), path: path.into() }
}

/// All that handlers may be there for.
fn whole(mut plan: Plan) -> Plan {
    let object = Trigger::Object {
        bucket: "reports".into(),
        event: ObjectEvent::Created,
        prefix: "in/".into(),
        suffix: "".into(),
    };
    add(&mut plan, "audit::record", "audit::read", object);
    add(&mut plan, "shop::orders::get_order", "shop::orders::list", http("get", "/orders"));
    add(&mut plan, "shop::orders::get_order", "shop::orders::old", Trigger::Routes { prefix: "/legacy".into() });
    add(&mut plan, "shop::orders::get_order", "shop::orders::cors", Trigger::Layer { path: "/".into(), order: 0 });
    plan
}

/// Applications of all shapes.
fn plans() -> Vec<(&'static str, Plan)> {
    let with = |change: fn(&mut Plan)| {
        let mut plan = whole(fixture::with_books());
        change(&mut plan);
        plan
    };
    vec![
        ("a unit for each", with(|_| {})),
        ("one unit", whole(fixture::in_one_unit())),
        ("steps", with(|plan| plan.settings.aws_lambda.rollout = Some(Rollout::Canary { minutes: 5 }))),
        ("parts", with(|plan| plan.settings.aws_lambda.resources_per_stack = Some(30))),
        (
            "images",
            with(|plan| {
                plan.settings.aws_lambda.resources_per_stack = Some(30);
                plan.settings.aws_lambda.package = Package::Image;
            }),
        ),
        ("data of modules", with(|plan| plan.settings.aws_lambda.data = DataStacks::Module)),
    ]
}

#[test]
fn handlers_may_be_renamed() {
    for (of, plan) in plans() {
        let ids: Vec<String> = plan.app.handlers.iter().map(|handler| handler.id.clone()).collect();
        let next = |id: &str| {
            let at = ids.iter().position(|one| one == id).unwrap();
            ids[(at + 1) % ids.len()].clone()
        };
        for units in [false, true] {
            for (how, after) in [
                ("renamed", renamed(&plan, units, |id| format!("{id}_now"))),
                ("moved", renamed(&plan, units, |id| id.replace("shop::", "shop::now::"))),
                ("each called like the next", renamed(&plan, units, next)),
            ] {
                let of = format!("{of}, {how}, units {units}");
                let both = holds(&plan, &after, &of);
                // `GET` of an order, a quote and the list, with heads; `POST`; a router's two; options of three; and all others.
                assert_eq!(both["AWS::ApiGatewayV2::Route"], 13, "{of}");
                if !units {
                    assert!(both.contains_key("AWS::Lambda::EventSourceMapping"), "{of}: {both:?}");
                }
            }
        }
    }
}

#[test]
fn a_functions_address_is_one() {
    let mut plan = fixture::in_one_unit();
    plan.settings.aws_lambda.http = Entry::FunctionUrl;
    let both = holds(&plan, &renamed(&plan, false, |id| format!("{id}_now")), "url");
    assert_eq!(both["AWS::Lambda::Url"], 1);
}

/// Heads, options and all other requests go from one handler to another, as others come.
#[test]
fn requests_may_go_to_other_handlers() {
    let plan = whole(fixture::shop());
    for (like, id, trigger) in [
        ("shop::pricing::get_quote", "shop::pricing::heads", http("head", "/orders/{id}")),
        ("shop::pricing::get_quote", "shop::pricing::options", http("options", "/orders/{id}")),
        ("shop::pricing::get_quote", "shop::all", Trigger::Routes { prefix: "/".into() }),
        // The first of a path's answers for its options.
        ("shop::pricing::get_quote", "shop::first::change_order", http("put", "/orders/{id}")),
    ] {
        let mut after = plan.clone();
        add(&mut after, like, id, trigger);
        for (before, after) in [(&plan, &after), (&after, &plan)] {
            let both = holds(before, after, id);
            assert_eq!(both["AWS::ApiGatewayV2::Route"], 13, "{id}");
        }
    }
}

/// A consumer goes to another unit: there is one that takes a queue's messages, whoever that is.
#[test]
fn a_queue_has_one_mapping() {
    let plan = fixture::shop();
    let mut after = plan.clone();
    let moved = "shop::orders::ship";
    after.units.iter_mut().for_each(|unit| unit.handlers.retain(|id| id != moved));
    after.units.retain(|unit| !unit.handlers.is_empty());
    after.units.iter_mut().find(|unit| unit.id == "audit-record").unwrap().handlers.insert(moved.to_owned());
    let mapping = |plan: &Plan| {
        let all = once(plan).into_iter();
        let of = |(_, kind, key): &(String, String, String)| kind.ends_with("Mapping") && key.contains("OrdersQueue");
        all.filter(|(thing, _)| of(thing)).map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(mapping(&plan), ["OrdersQueueMapping"]);
    assert_eq!(mapping(&after), ["OrdersQueueMapping"]);
}
