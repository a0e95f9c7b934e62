//! What the shop becomes: which objects in which order, and the same bytes twice. (The whole text is compared where the
//! example's own expected files lie.)

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod fixture;

use serde::Deserialize;
use updraft_knative::Knative;
use updraft_model::settings::{Scale, Schedules};
use updraft_model::{Artifacts, Plan, Sink, Target, Unit};

fn compile(plan: &Plan) -> Artifacts {
    let mut sink = Sink::default();
    let artifacts = Knative.compile(plan, &mut sink);
    let findings = sink.into_sorted();
    artifacts.unwrap_or_else(|| panic!("{findings:#?}"))
}

/// `Kind/name` of every object, file by file.
fn objects(artifacts: &Artifacts) -> String {
    let mut out = String::new();
    for (path, artifact) in artifacts.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        out += &format!("{path}\n");
        for document in serde_yaml::Deserializer::from_slice(&artifact.bytes) {
            let value = serde_yaml::Value::deserialize(document).unwrap();
            let text = |value: &serde_yaml::Value| value.as_str().unwrap_or_default().to_owned();
            out += &format!("  {}/{}\n", text(&value["kind"]), text(&value["metadata"]["name"]));
        }
    }
    out
}

#[test]
fn objects_of_the_shop() {
    insta::assert_snapshot!(objects(&compile(&fixture::shop())));
}

#[test]
fn a_unit_with_routes_and_events_has_two_faces() {
    let mut plan = fixture::shop();
    let handlers = plan.units.iter().flat_map(|unit| unit.handlers.clone()).collect();
    plan.units = vec![Unit { id: "app".into(), handlers }];
    insta::assert_snapshot!(objects(&compile(&plan)));
}

#[test]
fn a_shared_namespace_gets_prefixed_names_and_jobs_fire_schedules() {
    let mut plan = fixture::shop();
    plan.settings.knative.namespace = Some("apps".into());
    plan.settings.knative.name_prefix = Some("shop-".into());
    plan.settings.knative.schedules = Schedules::CronJob;
    plan.settings.knative.domain = Some("shop.example.com".into());
    insta::assert_snapshot!(objects(&compile(&plan)));
}

#[test]
fn a_revision_is_named_after_its_template() {
    let service = |plan: &Plan| String::from_utf8(compile(plan).get("50-web.yaml").unwrap().bytes.clone()).unwrap();
    let name =
        |plan: &Plan| service(plan).lines().find(|line| line.starts_with("      name: web-")).unwrap().to_owned();
    let (plan, mut scaled, mut built) = (fixture::shop(), fixture::shop(), fixture::shop());
    scaled.settings.knative.scale.insert("web".into(), Scale { max: Some(3), ..Scale::default() });
    built.digest = format!("sha256:{}", "1".repeat(64));
    assert_eq!(name(&plan), name(&fixture::shop()));
    assert_ne!(name(&plan), name(&scaled));
    assert_ne!(name(&plan), name(&built));
}

/// What a unit may connect to: the ports, of the policy that is named after it.
fn egress(plan: &Plan, unit: &str) -> Vec<u64> {
    let artifacts = compile(plan);
    let texts = artifacts.iter().filter(|(path, _)| path.ends_with(".yaml"));
    let documents = texts.flat_map(|(_, artifact)| {
        serde_yaml::Deserializer::from_slice(&artifact.bytes)
            .map(|document| serde_yaml::Value::deserialize(document).unwrap())
            .collect::<Vec<_>>()
    });
    let named = |value: &serde_yaml::Value| value["kind"] == "NetworkPolicy" && value["metadata"]["name"] == unit;
    let policies: Vec<_> = documents.filter(named).collect();
    let [policy] = &policies[..] else { panic!("{} policies of {unit}", policies.len()) };
    let rules = policy["spec"]["egress"].as_sequence().unwrap();
    let mut ports: Vec<u64> = rules
        .iter()
        .flat_map(|rule| rule["ports"].as_sequence().unwrap())
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    ports.sort_unstable();
    ports
}

/// Whoever reaches a database hands on what waits in its outbox, whichever unit put it there.
#[test]
fn a_unit_with_a_database_reaches_the_broker_without_sending_anything() {
    let mut plan = fixture::with_books();
    let gateway = [8080, 8081]; // to the unit that keeps what can't be sent
    assert_eq!(egress(&plan, "web"), [&[5432, 8080][..], &gateway].concat(), "PostgreSQL, the broker, the gateway");
    // Nothing is sent by anybody: there is no broker to reach.
    let tax = |id: &String| id == "shop::tax::owed";
    plan.app.handlers.retain(|handler| tax(&handler.id));
    plan.app.resources.retain(|resource| resource.id == "books");
    plan.engines.retain(|(_, id), _| id == "books");
    plan.units.retain(|unit| unit.handlers.iter().any(tax));
    assert_eq!(egress(&plan, "web"), [5432]);
}

/// A batch's limits are upper ones, so that this is no mistake of the program's; but whoever deploys it wants to know.
#[test]
fn the_page_says_who_gets_one_message_at_a_time() {
    let page = |plan: &Plan| String::from_utf8(compile(plan).get("README.md").unwrap().bytes.clone()).unwrap();
    let mut plan = fixture::shop();
    assert!(!page(&plan).contains("at once"));
    let ship = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::ship").unwrap();
    ship.options.insert("batch".into(), "100".into());
    let line = "`shop::orders::ship` takes up to 100 messages at once; Knative's brokers hand it one at a time";
    assert!(page(&plan).contains(line), "{}", page(&plan));
}

#[test]
fn same_bytes_twice() {
    assert_eq!(compile(&fixture::shop()), compile(&fixture::shop()));
}
