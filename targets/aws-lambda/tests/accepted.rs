//! CloudFormation would take what the shop becomes, and refuse each of its damaged variants, for the right reason.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

mod fixture;

use serde_json::{Value, json};
use updraft_aws_lambda::{AwsLambda, TEMPLATE};
use updraft_model::{ObjectEvent, Plan, Sink, Target, Trigger, Unit};
use updraft_validate::{Finding, cloudformation};

fn template(plan: &Plan) -> Value {
    let mut sink = Sink::default();
    let artifacts = AwsLambda.compile(plan, &mut sink);
    let findings = sink.into_sorted();
    let artifacts = artifacts.unwrap_or_else(|| panic!("{findings:#?}"));
    serde_json::from_slice(&artifacts.get(TEMPLATE).unwrap().bytes).unwrap()
}

/// All that there is: order, dedup, delay, batches, filters, objects, `once`, routers, partitions, both kinds of schedule.
fn elaborate() -> Plan {
    let mut plan = fixture::shop();
    let option = |plan: &mut Plan, id: &str, options: &[(&str, &str)]| {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match plan.app.handlers.iter_mut().find(|handler| handler.id == id) {
            Some(handler) => handler.options.extend(options),
            None => plan.app.resources.iter_mut().find(|resource| resource.id == id).unwrap().options.extend(options),
        }
    };
    option(&mut plan, "orders", &[("ordered", "customer"), ("dedup", "300")]);
    option(&mut plan, "stock", &[("partition", "String"), ("ttl", "60")]);
    option(&mut plan, "shipped", &[("attributes", "region")]);
    option(&mut plan, "shop::orders::ship", &[("batch", "100"), ("window", "30")]);
    option(&mut plan, "shop::mail::email_customer", &[("once", "604800")]);
    for handler in &mut plan.app.handlers {
        match (&mut handler.trigger, handler.id.as_str()) {
            (Trigger::Subscriber { when, .. }, "shop::mail::email_customer") => {
                when.insert("region".into(), "eu".into());
            }
            (trigger, "audit::record") => {
                let (prefix, suffix) = ("in/".into(), ".png".into());
                *trigger = Trigger::Object { bucket: "reports".into(), event: ObjectEvent::Created, prefix, suffix };
            }
            (trigger, "shop::pricing::get_quote") => *trigger = Trigger::Routes { prefix: "/legacy".into() },
            (Trigger::Schedule { overlap, run_missed, .. }, _) => (*overlap, *run_missed) = (true, true),
            _ => {}
        }
    }
    plan
}

/// The same, in one unit.
fn together() -> Plan {
    let mut plan = elaborate();
    let handlers = plan.units.iter().flat_map(|unit| unit.handlers.clone()).collect();
    plan.units = vec![Unit { id: "app".into(), handlers }];
    plan
}

fn said(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// What all programs say of a template.
fn asked(template: &Value) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.json");
    std::fs::write(&file, serde_json::to_string_pretty(template).unwrap()).unwrap();
    let mut findings = cloudformation::check(template);
    findings.extend(cloudformation::cfn_lint(&file, folder.path()).unwrap());
    findings.extend(cloudformation::checkov(folder.path()).unwrap());
    findings
}

#[test]
fn the_shop_is_taken() {
    for plan in [fixture::shop(), elaborate(), together()] {
        let findings = asked(&template(&plan));
        assert!(findings.is_empty(), "{}", said(&findings));
    }
}

/// The rules look where they should: each damage is found.
#[test]
fn damaged_templates_are_refused() {
    let whole = template(&elaborate());
    let resources = |template: &Value, kind: &str| -> Vec<String> {
        let all = template["Resources"].as_object().unwrap();
        all.iter().filter(|(_, resource)| resource["Type"] == kind).map(|(name, _)| name.clone()).collect()
    };
    let first = |kind: &str| resources(&whole, kind).remove(0);
    type Damage = fn(&mut Value, &str);
    let damages: [(&str, &str, Damage); 7] = [
        ("AWS::DynamoDB::Table", "cloudformation/reference", |template, name| {
            template["Resources"].as_object_mut().unwrap().remove(name);
        }),
        ("AWS::SQS::QueuePolicy", "cloudformation/reference", |template, name| {
            template["Resources"][name]["Properties"]["Queues"][0] = json!({ "Fn::GetAtt": ["OrdersQueue", "Url"] });
        }),
        ("AWS::Lambda::Function", "cloudformation/reference", |template, name| {
            template["Resources"][name]["Properties"]["Environment"]["Variables"]["X"] =
                json!({ "Fn::Sub": "a${Nothing.Arn}" });
        }),
        ("AWS::SQS::Queue", "cloudformation/circle", |template, name| {
            template["Resources"][name]["DependsOn"] = json!([name]);
        }),
        ("AWS::IAM::Role", "cloudformation/rights", |template, name| {
            template["Resources"][name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] =
                json!(["*"]);
        }),
        ("AWS::IAM::Role", "cloudformation/rights", |template, name| {
            template["Resources"][name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] =
                json!(["logs:*"]);
        }),
        ("AWS::S3::Bucket", "cloudformation/reference", |template, name| {
            template["Resources"][name]["DependsOn"] = json!(["Nothing"]);
        }),
    ];
    for (kind, rule, damage) in damages {
        let mut template = whole.clone();
        damage(&mut template, &first(kind));
        let findings = cloudformation::check(&template);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{kind} {rule}: {}", said(&findings));
    }
}

/// Other people's programs are asked, and heard: where they are installed.
#[test]
fn other_programs_are_heard() {
    let installed = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    let mut template = template(&fixture::shop());
    template["Resources"]["ShopOrdersShipFunction"]["Properties"]["Timeout"] = 2_000.into();
    template["Resources"]["ShopOrdersShipLogs"]["Properties"].as_object_mut().unwrap().remove("RetentionInDays");
    let findings = asked(&template);
    for (program, rule) in [("cfn-lint", "external/cfn-lint"), ("checkov", "external/checkov")] {
        let heard = findings.iter().any(|finding| finding.rule == rule);
        assert_eq!(heard, installed(program), "{program}: {}", said(&findings));
    }
}
