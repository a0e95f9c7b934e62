//! CloudFormation would take what the shop and its variants become, and each part has the rights that it needs. (That damaged
//! templates are refused is tested where the rules are, in `tests/validate/tests/damages.rs`.)

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

mod fixture;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use updraft_aws_lambda::{AwsLambda, PARTS, TEMPLATE};

use updraft_model::settings::{Entry, LambdaFunction, Package, Rollout, SecretKeeper};
use updraft_model::{Access, Grant, Kind, ObjectEvent, Plan, Sink, Target, Trigger, Unit};
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

/// The shop, with aliases that move in steps.
fn in_steps() -> Plan {
    let mut plan = fixture::shop();
    plan.settings.aws_lambda.rollout = Some(Rollout::Canary { minutes: 5 });
    plan
}

/// The shop, whose code is an image.
fn as_an_image() -> Plan {
    let mut plan = fixture::shop();
    plan.settings.aws_lambda.package = Package::Image;
    plan
}

/// In one unit, whose URL takes the place of an API.
fn by_url() -> Plan {
    let mut plan = together();
    plan.settings.aws_lambda.http = Entry::FunctionUrl;
    plan
}

/// With a database that only a network leads to.
fn in_a_network() -> Plan {
    let mut plan = fixture::with_books();
    let database = &mut plan.settings.aws_lambda.database;
    (database.subnets, database.security_groups) = (vec!["subnet-0a1b2c3d".into()], vec!["sg-0a1b2c3d".into()]);
    plan
}

/// With secrets that are parameters, a database's URL among them.
fn with_parameters() -> Plan {
    let mut plan = fixture::with_books();
    plan.settings.aws_lambda.secrets = SecretKeeper::ParameterStore;
    plan
}

/// With a queue that nobody in the application takes from, to which an outbox sends.
fn with_unsent() -> Plan {
    let mut plan = fixture::with_books();
    let mut reviews = plan.app.resource(Kind::Queue, "orders").unwrap().clone();
    reviews.id = "reviews".into();
    plan.app.resources.push(reviews);
    let placing = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::place_order").unwrap();
    placing.grants.insert(Grant { kind: Kind::Queue, resource: "reviews".into(), access: Access::Write });
    plan
}

#[test]
fn what_no_handler_would_have_got_has_a_place() {
    let templates = [template(&fixture::with_books()), template(&with_unsent())];
    let queue = |template: &Value| template["Resources"]["UnsentMessages"]["Type"].clone();
    assert_eq!([queue(&templates[0]), queue(&templates[1])], [Value::Null, json!("AWS::SQS::Queue")]);
    // The shop's customers alone are told of what is shipped to the EU: what is shipped elsewhere nobody gets.
    let mut plan = fixture::with_books();
    for handler in &mut plan.app.handlers {
        if let Trigger::Subscriber { when, .. } = &mut handler.trigger {
            when.insert("region".into(), "eu".into());
        }
    }
    let placing = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::place_order").unwrap();
    placing.grants.insert(Grant { kind: Kind::Topic, resource: "shipped".into(), access: Access::Write });
    assert_eq!(queue(&template(&plan)), "AWS::SQS::Queue");
}

fn said(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// What all say of templates.
fn asked(templates: &[Value]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = templates.iter().flat_map(cloudformation::check).collect();
    findings.extend(linted(templates));
    let named: Vec<_> = templates.iter().enumerate().map(|(at, template)| (at.to_string(), template.clone())).collect();
    let folder = tempfile::tempdir().unwrap();
    findings.extend(cloudformation::parliament(&named, folder.path()).unwrap());
    findings
}

/// What other programs say that look at each by itself.
fn linted(templates: &[Value]) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let name = |at: usize| folder.path().join(format!("{at}.json"));
    for (at, template) in templates.iter().enumerate() {
        std::fs::write(name(at), serde_json::to_string_pretty(template).unwrap()).unwrap();
    }
    // Before there are other files.
    let mut findings = cloudformation::checkov(folder.path()).unwrap();
    let files: Vec<_> = (0..templates.len()).map(name).collect();
    findings.extend(cloudformation::cfn_lint(&files, folder.path()).unwrap());
    findings
}

#[test]
fn the_shop_is_taken() {
    let plans = [
        fixture::shop(),
        elaborate(),
        together(),
        by_url(),
        in_steps(),
        as_an_image(),
        fixture::with_books(),
        with_parameters(),
    ];
    let findings = asked(&plans.map(|plan| template(&plan)));
    assert!(findings.is_empty(), "{}", said(&findings));
}

/// (That parts put together are the whole, whose rights are looked at above, is tested where it is cut.)
#[test]
fn parts_are_taken() {
    let plans = [fixture::shop(), in_steps(), fixture::with_books()].map(|mut plan| {
        plan.settings.aws_lambda.resources_per_stack = Some(50);
        plan
    });
    let templates = plans.iter().flat_map(|plan| {
        let artifacts = AwsLambda.compile(plan, &mut Sink::default()).unwrap();
        let templates = artifacts.iter().filter(|(path, _)| *path == TEMPLATE || path.starts_with(PARTS));
        templates.map(|(_, file)| serde_json::from_slice(&file.bytes).unwrap()).collect::<Vec<Value>>()
    });
    let templates: Vec<Value> = templates.collect();
    assert!(templates.len() > 6, "{}", templates.len());
    let findings = linted(&templates);
    assert!(findings.is_empty(), "{}", said(&findings));
}

#[test]
fn a_rollout_that_nothing_stops_or_that_can_not_move_is_refused() {
    let whole = template(&in_steps());
    let [group, role, alarm] =
        ["Group", "Rights", "Alarm"].map(|what| format!("/Resources/ShopOrdersShipRollout{what}/Properties"));
    let alias = "/Resources/ShopOrdersShipAlias";
    let statements = format!("{role}/Policies/0/PolicyDocument/Statement");
    let admin = json!({ "Effect": "Allow", "Action": ["lambda:UpdateFunctionCode"],
        "Resource": [{ "Fn::GetAtt": ["ShopOrdersShipFunction", "Arn"] }] });
    for (pointer, value, rule) in [
        (
            format!("{alias}/UpdatePolicy/CodeDeployLambdaAliasUpdate/DeploymentGroupName"),
            Some(json!({ "Ref": "AuditRecordRolloutGroup" })),
            "grants/rollout",
        ),
        (format!("{alias}/UpdatePolicy"), None, "grants/rollout"),
        (format!("{group}/AlarmConfiguration/Alarms"), Some(json!([])), "grants/rollout"),
        (format!("{group}/AutoRollbackConfiguration/Events/1"), None, "grants/rollout"),
        (format!("{group}/ServiceRoleArn"), Some(json!({ "Ref": "ShopOrdersShipRolloutRights" })), "arn"),
        (format!("{statements}/@Alias"), None, "grants/rollout"),
        (format!("{statements}/@Alias/Resource/1"), None, "grants/rollout"),
        (format!("{statements}/@Alarm"), None, "grants/rollout"),
        (format!("{statements}/-"), Some(admin), "grants/unneeded"),
        (
            format!("{role}/AssumeRolePolicyDocument/Statement/0/Principal/Service"),
            Some(json!("lambda.amazonaws.com")),
            "grants/trust",
        ),
        (format!("{alarm}/MetricName"), Some(json!("Invocations")), "grants/rollout"),
        (format!("{alarm}/Dimensions/1"), None, "grants/rollout"),
    ] {
        let mut template = whole.clone();
        assert!(updraft_validate::patch::edit(&mut template, &pointer, value), "nothing at {pointer}");
        let findings = cloudformation::check(&template);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{pointer}: {}", said(&findings));
    }
}

#[test]
fn a_function_reads_the_parameter_that_it_is_told_of_and_no_other() {
    let whole = template(&with_parameters());
    assert!(!whole.to_string().contains("AWS::SecretsManager::Secret"));
    assert_eq!(whole["Metadata"]["updraft"]["parameters"]["BooksDatabaseUrl"]["from"], json!(["database books"]));
    let key =
        "/Resources/ShopMailEmailCustomerRole/Properties/Policies/0/PolicyDocument/Statement/@MailerKeySecretRead";
    let another = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/updraft/${AWS::StackName}";
    for (pointer, value, rule) in [
        (key.to_owned(), None, "grants/told"),
        (format!("{key}/Action"), Some(json!(["ssm:GetParameters"])), "grants/told"),
        (format!("{key}/Action/-"), Some(json!("ssm:GetParameterHistory")), "grants/unneeded"),
        (
            format!("{key}/Resource/-"),
            Some(json!({ "Fn::Sub": format!("{another}/BooksDatabaseUrl") })),
            "grants/unneeded",
        ),
        (format!("{key}/Resource/0"), Some(json!({ "Fn::Sub": format!("{another}/*") })), "grants/wildcard"),
        (
            format!("{key}/Resource/0"),
            Some(json!({ "Fn::Sub": format!("{another}-2/MailerKeySecret") })),
            "grants/service",
        ),
        ("/Metadata/updraft/parameters/MailerKeySecret".to_owned(), None, "grants/told"),
    ] {
        let mut template = whole.clone();
        assert!(updraft_validate::patch::edit(&mut template, &pointer, value), "nothing at {pointer}");
        let findings = cloudformation::check(&template);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{pointer}: {}", said(&findings));
    }
}

/// What runs is in the code's place, and nowhere twice.
#[test]
fn code_that_is_neither_a_zip_nor_an_image_is_refused() {
    let function = "/Resources/ShopOrdersShipFunction/Properties";
    let of_zip = json!({ "S3Bucket": { "Ref": "CodeBucketName" }, "S3Key": { "Ref": "CodeKey" } });
    for (whole, key, value, rule) in [
        (template(&as_an_image()), "Handler", Some(json!("bootstrap")), "values/runtime"),
        (template(&as_an_image()), "Runtime", Some(json!("provided.al2023")), "values/runtime"),
        (template(&as_an_image()), "PackageType", Some(json!("Zip")), "values/code"),
        (template(&as_an_image()), "Code", Some(of_zip), "values/code"),
        (template(&fixture::shop()), "PackageType", Some(json!("Image")), "values/code"),
        (template(&fixture::shop()), "Handler", None, "values/runtime"),
        (template(&fixture::shop()), "Code", Some(json!({ "ImageUri": "shop" })), "values/code"),
    ] {
        assert_eq!(said(&cloudformation::check(&whole)), "");
        let mut damaged = whole;
        assert!(updraft_validate::patch::edit(&mut damaged, &format!("{function}/{key}"), value), "nothing at {key}");
        let findings = cloudformation::check(&damaged);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{key}: {}", said(&findings));
    }
}

#[test]
fn a_url_that_lets_in_too_few_or_too_many_is_refused() {
    let whole = template(&by_url());
    let [url, callers, requests] =
        ["", "Callers", "Requests"].map(|what| format!("/Resources/AppFunctionUrl{what}/Properties"));
    for (pointer, value, rule) in [
        (format!("{url}/Qualifier"), Some(json!("other")), "grants/alias"),
        ("/Resources/AppFunctionUrl/DependsOn".to_owned(), None, "grants/order"),
        (format!("{url}/InvokeMode"), None, "values/url"),
        (format!("{url}/AuthType"), Some(json!("AWS_IAM")), "values/url"),
        ("/Resources/AppFunctionUrlCallers".to_owned(), None, "grants/invoke"),
        ("/Resources/AppFunctionUrlRequests".to_owned(), None, "grants/invoke"),
        (format!("{callers}/FunctionUrlAuthType"), None, "grants/unneeded"),
        // Anyone could invoke it with any event.
        (format!("{requests}/InvokedViaFunctionUrl"), None, "grants/source"),
        (format!("{requests}/Action"), Some(json!("lambda:InvokeFunctionUrl")), "grants/source"),
        ("/Resources/AppFunctionUrl".to_owned(), None, "grants/source"),
    ] {
        let mut template = whole.clone();
        assert!(updraft_validate::patch::edit(&mut template, &pointer, value), "nothing at {pointer}");
        let findings = cloudformation::check(&template);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{pointer}: {}", said(&findings));
    }
}

/// Lambda makes interfaces in a function's name, which AWS's own policy allows on everything: to `checkov` and `parliament` that
/// is too much, and they are right of any other action.
#[test]
fn a_function_in_a_network_may_be_put_there() {
    let template = template(&in_a_network());
    assert_eq!(said(&cloudformation::check(&template)), "");
    let mut damaged = template.clone();
    let policies = &mut damaged["Resources"]["ShopOrdersGetOrderRole"]["Properties"]["Policies"];
    let statements = policies[0]["PolicyDocument"]["Statement"].as_array_mut().unwrap();
    statements.retain(|statement| statement["Sid"] != "Network");
    assert!(said(&cloudformation::check(&damaged)).contains("grants/network"));
    // Nor may its own code do what Lambda does for it.
    let statements =
        "/Resources/ShopOrdersGetOrderRole/Properties/Policies/0/PolicyDocument/Statement/@NetworkByLambdaAlone";
    for (pointer, value) in [
        (String::new(), None),
        ("/Action/0".to_owned(), None),
        ("/Effect".to_owned(), Some(json!("Allow"))),
        ("/Condition/ArnLike/lambda:SourceFunctionArn".to_owned(), Some(json!("arn:aws:lambda:*:*:function:other"))),
        ("/Condition".to_owned(), None),
    ] {
        let mut damaged = template.clone();
        assert!(updraft_validate::patch::edit(&mut damaged, &format!("{statements}{pointer}"), value), "{pointer}");
        assert!(said(&cloudformation::check(&damaged)).contains("grants/network"), "{pointer}");
    }
}

/// The next look at an outbox comes in a minute.
#[test]
fn a_look_that_failed_is_not_tried_again() {
    let whole = template(&fixture::with_books());
    let config = "/Resources/ShopOrdersPlaceOrderInvocations";
    for (pointer, value) in [
        (config.to_owned(), None),
        (format!("{config}/Properties/MaximumRetryAttempts"), Some(json!(2))),
        (format!("{config}/Properties/MaximumEventAgeInSeconds"), None),
        (format!("{config}/Properties/Qualifier"), Some(json!("$LATEST"))),
        (format!("{config}/DependsOn"), None),
    ] {
        let mut damaged = whole.clone();
        assert!(updraft_validate::patch::edit(&mut damaged, &pointer, value), "{pointer}");
        assert!(said(&cloudformation::check(&damaged)).contains("values/schedule"), "{pointer}");
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    /// One of so many.
    fn of(&mut self, many: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % many
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.of(of.len())]
    }
}

/// A shop with other triggers, options and units.
fn generated(seed: u64) -> Plan {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut plan = elaborate();
    for queue in plan.app.resources.iter_mut().filter(|resource| resource.kind == Kind::Queue) {
        queue.options.clear();
        let options: &[&[(&str, &str)]] = &[
            &[],
            &[("ordered", "customer")],
            &[("dedup", "300")],
            &[("delay", "true")],
            &[("ordered", "a"), ("dedup", "300")],
        ];
        queue.options.extend(dice.one(options).iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }
    for store in plan.app.resources.iter_mut().filter(|resource| resource.kind == Kind::Store) {
        store.options.clear();
        if dice.of(2) == 0 {
            store.options.insert("partition".into(), "String".into());
        }
    }
    for handler in &mut plan.app.handlers {
        handler.timeout = [1, 29, 30][dice.of(3)];
        if !matches!(handler.trigger, Trigger::Http { .. } | Trigger::Routes { .. } | Trigger::Function { .. }) {
            handler.timeout = [1, 60, 895][dice.of(3)];
            handler.retries = [0, 5, 999][dice.of(3)] as u32;
            if dice.of(2) == 0 {
                handler.options.insert("batch".into(), ["1", "10", "11", "1000"][dice.of(4)].into());
                handler.options.insert("window".into(), ["0", "1", "300"][dice.of(3)].into());
            }
        }
        if let Trigger::Schedule { overlap, cron, .. } = &mut handler.trigger {
            *overlap = dice.of(2) == 0;
            *cron = dice.one(&["0 3 * * *", "*/7 1-5 * 2,3 *", "0 0 31 12 *", "59 23 * * 0,6", "* * * * 1-5/2"]).into();
        }
        if let Trigger::Subscriber { when, .. } = &mut handler.trigger {
            when.clear();
            when.extend((0..dice.of(6)).map(|at| (format!("a{at}"), "${x}".to_owned())));
        }
        // Whatever else it reaches.
        for (kind, id) in [
            (Kind::Store, "stock"),
            (Kind::Bucket, "reports"),
            (Kind::Topic, "shipped"),
            (Kind::Secret, "mailer-key"),
            (Kind::Queue, "orders"),
        ] {
            if dice.of(4) == 0 {
                let access = [Access::Read, Access::Write, Access::ReadWrite][dice.of(3)];
                let access = match kind {
                    Kind::Queue | Kind::Topic => Access::Write,
                    Kind::Secret => Access::Read,
                    _ => access,
                };
                handler.grants.insert(Grant { kind, resource: id.into(), access });
            }
        }
    }
    let many = 1 + dice.of(plan.app.handlers.len());
    let mut units: Vec<Unit> = (0..many).map(|at| Unit { id: format!("u{at}"), handlers: [].into() }).collect();
    for handler in &plan.app.handlers {
        // Not with who calls it, and after none that it calls: units that call each other are refused.
        let at = if matches!(handler.trigger, Trigger::Function { .. }) { 0 } else { dice.of(many) };
        units[at].handlers.insert(handler.id.clone());
    }
    units.retain(|unit| !unit.handlers.is_empty());
    plan.units = units;
    let settings = &mut plan.settings.aws_lambda;
    let concurrency = [None, Some(2), Some(1_000)][dice.of(3)];
    let memory = [None, Some(128), Some(10_240)][dice.of(3)];
    settings.functions.insert("*".into(), LambdaFunction { memory, concurrency, reserved: None });
    settings.rollout = [None, None, Some(Rollout::Linear { minutes: 1 })][dice.of(3)];
    settings.secrets = [SecretKeeper::SecretsManager, SecretKeeper::ParameterStore][dice.of(2)];
    let is_route = |id: &String| plan.app.handler(id).is_some_and(|handler| handler.trigger.route().is_some());
    if plan.units.iter().filter(|unit| unit.handlers.iter().any(is_route)).count() == 1 {
        settings.http = [Entry::Api, Entry::FunctionUrl][dice.of(2)];
    }
    plan
}

/// Whatever is put together, each part has the rights that it needs and no others.
#[test]
fn what_is_generated_has_the_rights_that_it_needs() {
    let (mut kinds, mut urls) = (BTreeSet::new(), 0);
    for seed in 0..300 {
        let template = template(&generated(seed));
        let findings = cloudformation::check(&template);
        assert!(findings.is_empty(), "seed {seed}:\n{}", said(&findings));
        urls += usize::from(template.to_string().contains("AWS::Lambda::Url"));
        for queue in template["Resources"].as_object().unwrap().values().filter(|one| one["Type"] == "AWS::SQS::Queue")
        {
            kinds.insert(queue["Properties"]["FifoThroughputLimit"].to_string());
        }
    }
    assert!(kinds.len() == 3 && urls > 5, "{kinds:?}, {urls} URLs");
}

/// Other people's programs are asked, and heard: where they are installed.
#[test]
fn other_programs_are_heard() {
    let runs = |program: &str, arguments: &[&str]| {
        std::process::Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let installed = |program: &str| match program {
        "cfn-lint" => runs(program, &["--append-rules", "cfn_lint_serverless.rules", "--list-rules"]),
        _ => runs(program, &["--version"]),
    };
    let mut template = template(&fixture::shop());
    template["Resources"]["ShopOrdersShipFunction"]["Properties"]["Timeout"] = 2_000.into();
    template["Resources"]["ShopOrdersShipLogs"]["Properties"].as_object_mut().unwrap().remove("RetentionInDays");
    template["Resources"]["ShopOrdersShipRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] =
        json!(["logs:WriteEvents"]);
    let findings = asked(&[template]);
    for (program, rule) in
        [("cfn-lint", "external/cfn-lint"), ("checkov", "external/checkov"), ("parliament", "external/parliament")]
    {
        let heard = findings.iter().any(|finding| finding.rule == rule);
        assert_eq!(heard, installed(program), "{program}: {}", said(&findings));
    }
}
