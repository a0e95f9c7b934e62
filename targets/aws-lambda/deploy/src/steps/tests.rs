//! Releases go live in a world of templates, stack by stack: whatever is asked is there, in every moment between.

use super::*;
use crate::between::{below, known, towards};
use crate::stack::version;
use serde_json::{Map, json};
use std::collections::BTreeSet;

/// An application: units, each with its part (the main stack, if none) and those that it calls; the units that a route, a
/// schedule and a queue lead to.
#[derive(Clone, Default)]
struct Layout {
    units: Vec<(&'static str, Option<&'static str>, Vec<&'static str>)>,
    routes: Vec<(&'static str, &'static str)>,
    schedules: Vec<(&'static str, &'static str)>,
    consumers: Vec<&'static str>,
    /// The part that has the queue and the schedules, if it is not the main stack.
    data: Option<&'static str>,
    /// Whether there is a topic, which the queue is subscribed to.
    has_topic: bool,
    code: &'static str,
}

impl Layout {
    fn part(&self, unit: &str) -> Option<&'static str> {
        self.units.iter().find(|(name, ..)| *name == unit).unwrap().1
    }

    /// What stands for a unit's function in a stack; notes what has to be told.
    fn function(&self, unit: &str, here: Option<&str>, told: &mut BTreeSet<String>) -> Value {
        let stack = here.map_or("AWS::StackName", |_| "Application");
        match self.part(unit) {
            there if there == here => json!({ "Ref": format!("{unit}Alias") }),
            Some(part) => json!({ "Fn::Sub": format!("arn:function:${{{stack}}}-{part}-{unit}:live") }),
            None => {
                told.insert(format!("{unit}Alias"));
                json!({ "Fn::Select": ["0", { "Ref": format!("{unit}AliasGiven") }] })
            }
        }
    }

    fn release(&self) -> Release {
        let mut stacks: BTreeMap<Option<&str>, Map<String, Value>> = BTreeMap::from([(None, Map::new())]);
        let mut told: BTreeMap<Option<&str>, BTreeSet<String>> = BTreeMap::new();
        let resource =
            |kind: &str, properties: Value| json!({ "Type": format!("AWS::{kind}"), "Properties": properties });
        for (unit, part, calls) in &self.units {
            let named = told.entry(*part).or_default();
            let calls: Vec<Value> = calls.iter().map(|callee| self.function(callee, *part, named)).collect();
            let stack = stacks.entry(*part).or_default();
            let name = part.map(|part| json!({ "Fn::Sub": format!("${{Application}}-{part}-{unit}") }));
            let role = resource("IAM::Role", json!({ "Calls": calls }));
            let properties = json!({
                "FunctionName": name, "Role": { "Ref": format!("{unit}Role") }, "Code": { "Ref": "CodeKey" }, "Calls": calls,
            });
            let alias = json!({ "FunctionName": { "Ref": format!("{unit}Function") }, "Version": { "Ref": format!("{unit}Version{}", self.code) } });
            stack.insert(format!("{unit}Role"), role);
            stack.insert(format!("{unit}Function"), resource("Lambda::Function", properties));
            let of = json!({ "FunctionName": { "Ref": format!("{unit}Function") } });
            stack.insert(format!("{unit}Version{}", self.code), resource("Lambda::Version", of));
            stack.insert(format!("{unit}Alias"), resource("Lambda::Alias", alias));
            if self.consumers.contains(unit) {
                let queue = if self.data == *part {
                    json!({ "Ref": "Queue" })
                } else {
                    named.insert("Queue".to_owned());
                    json!({ "Fn::Select": ["0", { "Ref": "QueueGiven" }] })
                };
                let mapping = json!({ "FunctionName": { "Ref": format!("{unit}Alias") }, "Source": queue });
                stack.insert(format!("{unit}Mapping"), resource("Lambda::EventSourceMapping", mapping));
            }
        }
        for (route, unit) in &self.routes {
            let to = self.function(unit, None, &mut BTreeSet::new());
            let main = stacks.entry(None).or_default();
            main.insert(format!("{route}Integration"), resource("ApiGatewayV2::Integration", json!({ "To": to })));
            let target = json!({ "Target": { "Ref": format!("{route}Integration") } });
            main.insert(format!("{route}Route"), resource("ApiGatewayV2::Route", target));
        }
        for (schedule, unit) in &self.schedules {
            let to = self.function(unit, self.data, told.entry(self.data).or_default());
            let stack = stacks.entry(self.data).or_default();
            stack.insert(format!("{schedule}Role"), resource("IAM::Role", json!({ "May": to })));
            let target = json!({ "Target": to, "Role": { "Ref": format!("{schedule}Role") } });
            stack.insert(format!("{schedule}Schedule"), resource("Scheduler::Schedule", target));
        }
        stacks.entry(self.data).or_default().insert("Queue".to_owned(), resource("SQS::Queue", json!({})));
        if self.has_topic {
            let topic = match self.data {
                None => json!({ "Ref": "Topic" }),
                Some(_) => {
                    told.entry(self.data).or_default().insert("Topic".to_owned());
                    json!({ "Fn::Select": ["0", { "Ref": "TopicGiven" }] })
                }
            };
            let subscription = resource("SNS::Subscription", json!({ "Topic": topic, "To": { "Ref": "Queue" } }));
            stacks.entry(self.data).or_default().insert("Subscription".to_owned(), subscription);
            stacks.entry(None).or_default().insert("Topic".to_owned(), resource("SNS::Topic", json!({})));
        }

        // What is told is told where it is.
        let all: BTreeSet<String> = told.values().flatten().cloned().collect();
        for name in &all {
            let stack = stacks.values_mut().find(|stack| stack.contains_key(name)).unwrap();
            let path = format!("/updraft/${{AWS::StackName}}/resources/{name}");
            let value = json!({ "Name": { "Fn::Sub": path }, "Value": { "Ref": name } });
            stack.insert(format!("{name}Parameter"), resource("SSM::Parameter", value));
        }
        let mut parts = Vec::new();
        let is_split = stacks.len() > 1;
        let mut hashes = Map::new();
        let mut main = Value::Null;
        for (part, mut stack) in stacks.into_iter().rev() {
            let mut parameters = Map::new();
            for name in told.remove(&part).unwrap_or_default() {
                let path = format!("/updraft/shop/resources/{name}");
                let given = json!({ "Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": path });
                parameters.insert(format!("{name}Given"), given);
            }
            if stack.keys().any(|name| name.ends_with("Function")) {
                parameters.insert("CodeKey".to_owned(), json!({ "Type": "String" }));
            }
            match part {
                Some(part) => {
                    parameters.insert("Application".to_owned(), json!({ "Type": "String" }));
                    stack.insert(
                        "Part".to_owned(),
                        resource("SSM::Parameter", json!({ "Name": { "Ref": "Application" } })),
                    );
                    let mut template = json!({ "Parameters": parameters, "Resources": stack });
                    template["Metadata"]["updraft"]["keeps"] = (self.data == Some(part)).into();
                    hashes.insert(part.to_owned(), version(&template, "").into());
                    parts.push(Part { name: part.to_owned(), template, template_key: part.to_owned() });
                }
                None => {
                    if is_split {
                        let value = json!([version(&json!({ "Resources": &stack }), ""), &hashes]).to_string();
                        let value = json!({ "Fn::Sub": format!("${{CodeKey}} {value}") });
                        stack.insert("Release".to_owned(), resource("SSM::Parameter", json!({ "Value": value })));
                        parameters.insert("CodeKey".to_owned(), json!({ "Type": "String" }));
                    }
                    main = json!({ "Parameters": parameters, "Resources": stack });
                    if is_split {
                        main["Metadata"]["updraft"]["parts"] = hashes.clone().into();
                    }
                }
            }
        }
        let version = version(&main, self.code);
        let template_key = "main".to_owned();
        Release { template: main, template_key, code_key: self.code.to_owned(), version, parts }
    }
}

/// The stacks that there are, by the part that each is, and whether anybody knows of the application: somebody does as soon as
/// it has been whole.
#[derive(Clone, Default)]
struct World(BTreeMap<Option<String>, Value>, bool);

/// Whether messages have somebody who takes them.
fn takes_messages(release: &Release) -> bool {
    let templates = release.parts.iter().map(|part| &part.template).chain([&release.template]);
    templates.into_iter().any(|template| template.to_string().contains("AWS::Lambda::EventSourceMapping"))
}

impl World {
    fn resources(&self) -> impl Iterator<Item = (&Option<String>, &String, &Value)> {
        self.0.iter().flat_map(|(part, template)| {
            template["Resources"].as_object().unwrap().iter().map(move |(name, one)| (part, name, one))
        })
    }

    fn turn(&mut self, turn: &Turn) {
        let before = self.0.get(&turn.part).cloned().unwrap_or_default();
        let known: BTreeSet<String> = self.0.values().flat_map(told).collect();
        for (name, parameter) in turn.template["Parameters"].as_object().unwrap() {
            let path = parameter["Default"].as_str().and_then(below);
            assert!(path.is_none_or(|path| known.contains(path)), "{name} is not told of to {:?}", turn.part);
        }
        assert!(!is_same(&before, &turn.template) || turn.key.is_some(), "nothing changes: {}", turn.template);
        self.1 |= turn.part.is_none() && towards(&turn.template).is_none();
        self.0.insert(turn.part.clone(), turn.template.clone());
        self.is_sound(&format!("{:?} turned", turn.part));
    }

    /// The functions that a resource names: the part that each is in, and its unit.
    fn called(&self, part: Option<&String>, resource: &Value) -> Vec<(Option<String>, String)> {
        let text = resource.to_string();
        let named = text.split(":function:$").skip(1).map(|rest| {
            let (part, unit) = rest.split_once("}-").unwrap().1.split_once(':').unwrap().0.rsplit_once('-').unwrap();
            (Some(part.to_owned()), unit.to_owned())
        });
        let found = text.split("\"Ref\":\"").skip(1).filter_map(|rest| {
            let name = rest.split_once('"').unwrap().0;
            let given = name.strip_suffix("AliasGiven").map(|unit| (None, unit.to_owned()));
            given.or_else(|| Some((part.cloned(), name.strip_suffix("Alias")?.to_owned())))
        });
        named.chain(found).collect()
    }

    /// Whatever is named is there, and each function that something leads to or that such a function calls.
    fn is_sound(&self, when: &str) {
        let leading = ["AWS::ApiGatewayV2::Integration", "AWS::Scheduler::Schedule", "AWS::Lambda::EventSourceMapping"];
        let leads = |one: &Value| leading.contains(&one["Type"].as_str().unwrap());
        let mut asked: Vec<(Option<String>, String)> = self
            .resources()
            .filter(|(_, _, one)| leads(one))
            .flat_map(|(part, _, one)| self.called(part.as_ref(), one))
            .collect();
        let mut seen = BTreeSet::new();
        while let Some((part, unit)) = asked.pop().filter(|_| self.1) {
            let function =
                self.0.get(&part).map_or(&Value::Null, |stack| &stack["Resources"][format!("{unit}Function")]);
            assert!(!function.is_null(), "{when}: {unit} of {part:?} is asked and not there");
            if seen.insert((part.clone(), unit)) {
                asked.extend(self.called(part.as_ref(), &function["Properties"]["Calls"]));
            }
        }
        for (part, name, one) in self.resources() {
            let text = one.to_string();
            let template = &self.0[part];
            assert!(template["Parameters"].get(name).is_none(), "{when}: {name} of {part:?} twice");
            for known in text.split("\"Ref\":\"").skip(1).map(|rest| rest.split_once('"').unwrap().0) {
                let there = ["Resources", "Parameters"].iter().any(|section| !template[section][known].is_null());
                assert!(there, "{when}: {name} of {part:?} names {known}: {template}");
            }
            // Who leads to a function may call it.
            if one["Type"] == "AWS::Scheduler::Schedule" {
                let role = &template["Resources"][one["Properties"]["Role"]["Ref"].as_str().unwrap()];
                assert_eq!(role["Properties"]["May"], one["Properties"]["Target"], "{when}");
            }
        }
    }

    /// What `stage` finds.
    fn now(&self, release: &Release) -> Now {
        let main = self.0.get(&None).cloned();
        let mut now = Now::default();
        for part in &release.parts {
            let is = self.0.get(&Some(part.name.clone()));
            if !is.is_some_and(|is| is_same(is, &part.template)) {
                now.outdated.insert(part.name.clone(), is.cloned().unwrap_or_default());
            }
        }
        // They are asked for only where there may be some.
        if main.as_ref().is_some_and(|main| towards(main).is_some() || !known(main).is_empty()) {
            let goes = |part: &&String| release.parts.iter().all(|one| one.name != **part);
            let there = self.0.iter().filter_map(|(part, is)| Some((part.as_ref().filter(goes)?.clone(), is.clone())));
            now.orphans = there.collect();
        }
        now.main = main;
        now
    }

    /// Takes all steps but for what comes after some turns; whether that was all.
    fn take(&mut self, release: &Release, most: usize, reversed: bool) -> bool {
        let steps = steps(&self.now(release), release);
        fit(&steps, "shop").unwrap();
        let mut left = most;
        let is_polled = self.resources().any(|(_, _, one)| one["Type"] == "AWS::Lambda::EventSourceMapping");
        let polled = is_polled && takes_messages(release);
        for step in &steps {
            let mut turns = match step {
                Step::Turn(turns) => turns.clone(),
                Step::End(names) => {
                    for name in names {
                        if left == 0 {
                            return false;
                        }
                        left -= 1;
                        self.0.remove(&Some(name.clone())).unwrap();
                        self.is_sound(&format!("{name} ended"));
                    }
                    continue;
                }
            };
            if reversed {
                turns.reverse();
            }
            for turn in &turns {
                if left == 0 {
                    return false;
                }
                left -= 1;
                self.turn(turn);
                // Whatever fails next, there is somebody who takes messages.
                let is_polled = self.resources().any(|(_, _, one)| one["Type"] == "AWS::Lambda::EventSourceMapping");
                assert!(!polled || is_polled, "{:?} turned: nobody takes messages", turn.part);
            }
        }
        true
    }

    #[track_caller]
    fn is(&self, release: &Release) {
        let mut expected = BTreeMap::from([(None, release.template.clone())]);
        expected.extend(release.parts.iter().map(|part| (Some(part.name.clone()), part.template.clone())));
        let names = |stacks: &BTreeMap<Option<String>, Value>| stacks.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&self.0), names(&expected));
        assert_eq!(self.0, expected);
    }
}

/// Ways of cutting one application, and of changing it.
fn layouts() -> Vec<Layout> {
    let two = Layout {
        units: vec![
            ("Web", Some("a"), vec!["Price"]),
            ("Price", Some("b"), vec![]),
            ("Work", Some("b"), vec!["Price"]),
        ],
        routes: vec![("Get", "Web"), ("Put", "Work")],
        schedules: vec![("Night", "Work")],
        consumers: vec!["Work"],
        data: None,
        has_topic: false,
        code: "1",
    };
    let single = Layout {
        units: two.units.iter().map(|(unit, _, calls)| (*unit, None, calls.clone())).collect(),
        ..two.clone()
    };
    let moved = Layout {
        units: vec![
            ("Web", Some("a"), vec!["Price"]),
            ("Price", Some("a"), vec![]),
            ("Work", Some("b"), vec!["Price"]),
        ],
        ..two.clone()
    };
    // One leaves a function that it calls, or comes to it.
    let apart = Layout {
        units: vec![
            ("Web", Some("a"), vec!["Price"]),
            ("Price", Some("b"), vec![]),
            ("Work", Some("a"), vec!["Price"]),
        ],
        ..two.clone()
    };
    let swapped = Layout {
        units: vec![
            ("Web", Some("b"), vec!["Price"]),
            ("Price", Some("c"), vec![]),
            ("Work", Some("a"), vec!["Price"]),
        ],
        ..two.clone()
    };
    let images = Layout {
        units: vec![
            ("Web", Some("a--image"), vec!["Price"]),
            ("Price", Some("b--image"), vec![]),
            ("Work", Some("b--image"), vec!["Price"]),
        ],
        ..two.clone()
    };
    // A function with an address stays in the main stack, and calls and is called.
    let held = Layout {
        units: vec![
            ("Web", None, vec!["Price"]),
            ("Price", Some("a"), vec![]),
            ("Work", Some("b"), vec!["Price", "Web"]),
        ],
        ..two.clone()
    };
    let held_otherwise = Layout {
        units: vec![
            ("Web", None, vec!["Price"]),
            ("Price", Some("b"), vec![]),
            ("Work", Some("a"), vec!["Price", "Web"]),
        ],
        ..two.clone()
    };
    let fewer = Layout {
        units: vec![("Web", Some("a"), vec![])],
        routes: vec![("Get", "Web")],
        ..Layout { code: "1", ..Layout::default() }
    };
    let data = Layout { data: Some("d"), ..two.clone() };
    let data_moved = Layout { data: Some("d"), ..moved.clone() };
    let subscribed = Layout { has_topic: true, ..data.clone() };
    vec![two, single, moved, apart, swapped, images, held, held_otherwise, fewer, data, data_moved, subscribed]
}

/// From anything to anything, with what is done at once in one order and the other; interrupted anywhere, and then taken up
/// again, gone back from, or followed by something else.
#[test]
fn whatever_is_asked_is_there_in_every_moment() {
    let all = layouts();
    let releases: Vec<Release> = all.iter().map(Layout::release).collect();
    let others: Vec<Release> = all.into_iter().map(|one| Layout { code: "2", ..one }.release()).collect();
    let mut interrupted = 0;
    for from in &releases {
        let mut first = World::default();
        assert!(first.take(from, usize::MAX, false));
        first.is(from);
        for to in &others {
            // A schedule that goes with its stack may come to a function that is on its way out.
            let has_data = [from, to].iter().any(|one| one.parts.iter().any(Part::keeps));
            let thirds = [&releases[0], &releases[if has_data { 2 } else { 8 }]];
            for most in 0.. {
                let (mut world, reversed) = (first.clone(), most % 2 == 1);
                let ended = world.take(to, most, reversed);
                if ended {
                    world.is(to);
                    break;
                }
                interrupted += 1;
                for next in [to, from, thirds[most / 2 % 2]] {
                    let mut other = world.clone();
                    assert!(other.take(next, usize::MAX, reversed));
                    other.is(next);
                }
            }
        }
    }
    assert!(interrupted > 500, "{interrupted}");
}

/// What was made of what there is no more goes before anything else, and is made anew at the end.
#[test]
fn parts_of_a_main_stack_that_is_gone_are_made_anew() {
    let release = layouts()[0].release();
    let of = |part: &Part| (part.name.clone(), part.template.clone());
    let mut now = Now { baseless: release.parts.iter().map(of).collect(), ..Now::default() };
    now.outdated = release.parts.iter().map(|part| (part.name.clone(), Value::Null)).collect();
    let mut world = World::default();
    world.0.extend(release.parts.iter().map(|part| (Some(part.name.clone()), part.template.clone())));
    for step in steps(&now, &release) {
        match step {
            Step::End(names) => names.into_iter().for_each(|name| assert!(world.0.remove(&Some(name)).is_some())),
            Step::Turn(turns) => turns.iter().for_each(|turn| world.turn(turn)),
        }
    }
    world.is(&release);
}

/// CloudFormation gives a step back as it was written, or the next one would seem to follow somebody else's.
#[test]
fn steps_are_ascii() {
    let template = json!({ "Resources": { "A": { "Properties": { "Description": "größe … 😀" } } } });
    let text = Turn::to("a", template.clone(), COMING).text();
    assert!(text.is_ascii(), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), template);
}

/// As few steps as it takes: what people do most is new code.
#[test]
fn new_code_is_one_step_for_parts_and_one_for_the_main_stack() {
    let all = layouts();
    let (old, new) = (all[0].release(), Layout { code: "2", ..all[0].clone() }.release());
    let mut world = World::default();
    world.take(&old, usize::MAX, false);
    let steps = steps(&world.now(&new), &new);
    let said: Vec<String> = steps
        .iter()
        .map(|step| match step {
            Step::Turn(turns) => {
                turns.iter().map(|turn| turn.part.clone().unwrap_or_default()).collect::<Vec<_>>().join(" ")
            }
            Step::End(names) => format!("end {}", names.join(" ")),
        })
        .collect();
    assert_eq!(said, ["b a", ""]);
}
