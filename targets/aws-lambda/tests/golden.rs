//! What the shop becomes: which resources, with which rights, and the same bytes twice. (The whole text is compared where the
//! examples' own expected files lie.)

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod fixture;

use serde_json::Value;
use std::collections::BTreeSet;
use updraft_aws_lambda::{AwsLambda, TEMPLATE};
use updraft_model::settings::{Architecture, Entry, LambdaFunction, Metrics, Package, Rollout, Telemetry};
use updraft_model::{Artifacts, Kind, Plan, Sink, Target, Trigger, Unit};
use updraft_wire::binding::{Binding, Engine};

fn compile(plan: &Plan) -> Artifacts {
    let mut sink = Sink::default();
    let artifacts = AwsLambda.compile(plan, &mut sink);
    let findings = sink.into_sorted();
    artifacts.unwrap_or_else(|| panic!("{findings:#?}"))
}

fn template(plan: &Plan) -> Value {
    serde_json::from_slice(&compile(plan).get(TEMPLATE).unwrap().bytes).unwrap()
}

fn names<'a>(template: &'a Value, kind: &str) -> Vec<&'a str> {
    let resources = template["Resources"].as_object().unwrap();
    resources.iter().filter(|(_, resource)| resource["Type"] == kind).map(|(name, _)| name.as_str()).collect()
}

/// `Type LogicalId` of every resource.
fn resources(template: &Value) -> String {
    let resources = template["Resources"].as_object().unwrap();
    let mut lines: Vec<String> =
        resources.iter().map(|(name, resource)| format!("{} {name}\n", resource["Type"].as_str().unwrap())).collect();
    lines.sort();
    lines.concat()
}

/// What each role allows: `action on resource`, role by role.
fn rights(template: &Value) -> String {
    let mut out = String::new();
    for name in names(template, "AWS::IAM::Role") {
        out += &format!("{name}\n");
        for statement in
            template["Resources"][name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap()
        {
            for action in statement["Action"].as_array().unwrap() {
                out += &format!("  {} on {}\n", action.as_str().unwrap(), statement["Resource"][0]);
            }
        }
    }
    out
}

#[test]
fn resources_of_the_shop() {
    insta::assert_snapshot!(resources(&template(&fixture::shop())));
}

#[test]
fn rights_of_the_shop() {
    insta::assert_snapshot!(rights(&template(&fixture::shop())));
}

#[test]
fn one_unit_has_one_function_and_all_rights() {
    let mut plan = fixture::shop();
    let handlers: BTreeSet<String> = plan.units.iter().flat_map(|unit| unit.handlers.clone()).collect();
    plan.units = vec![Unit { id: "app".into(), handlers }];
    let template = template(&plan);
    assert_eq!(names(&template, "AWS::Lambda::Function"), ["AppFunction"]);
    assert_eq!(names(&template, "AWS::Lambda::EventSourceMapping").len(), 4);
    assert_eq!(names(&template, "AWS::ApiGatewayV2::Integration"), ["AppIntegration"]);
    let told = &template["Resources"]["AppFunction"]["Properties"]["Environment"]["Variables"]["UPDRAFT_RESOURCES"];
    assert!(!told["Fn::Sub"].as_str().unwrap().contains("function/"), "calls stay in the process: {told}");
    assert!(!rights(&template).contains("lambda:InvokeFunction"));
}

/// An image says itself what is run, and whoever deploys says which it is. Nothing else is another's.
#[test]
fn an_image_in_the_place_of_a_zip() {
    let (zip, mut plan) = (template(&fixture::shop()), fixture::shop());
    plan.settings.aws_lambda.package = Package::Image;
    let mut image = template(&plan);
    assert_eq!(image["Parameters"].as_object().unwrap().keys().collect::<Vec<_>>(), ["CodeImage"]);
    let functions: Vec<String> = names(&image, "AWS::Lambda::Function").into_iter().map(str::to_owned).collect();
    for name in &functions {
        let properties = image["Resources"][name]["Properties"].as_object_mut().unwrap();
        assert_eq!(properties["PackageType"], "Image");
        assert_eq!(properties["Code"], serde_json::json!({ "ImageUri": { "Ref": "CodeImage" } }));
        assert!(!properties.contains_key("Runtime") && !properties.contains_key("Handler"));
        let was = zip["Resources"][name]["Properties"].as_object().unwrap();
        for key in ["PackageType", "Code", "Runtime", "Handler"] {
            properties.insert(key.to_owned(), was[key].clone());
        }
        assert_eq!(&*properties, was, "{name}");
    }
    // Its versions are others: their names tell what they are made of.
    assert_eq!(resources(&image).lines().count(), resources(&zip).lines().count());
}

/// What no route is for is answered as in other places, by a unit that knows all paths.
#[test]
fn one_unit_answers_what_no_route_is_for() {
    let mut plan = fixture::shop();
    let unmatched = |template: &Value| {
        let routes = names(template, "AWS::ApiGatewayV2::Route").into_iter();
        let routes = routes.map(|name| &template["Resources"][name]["Properties"]);
        let found: Vec<&Value> = routes.filter(|route| route["RouteKey"] == "$default").collect();
        found.into_iter().map(|route| route["Target"].to_string()).collect::<Vec<_>>()
    };
    let first = r#"{"Fn::Sub":"integrations/${ShopOrdersGetOrderIntegration}"}"#;
    assert_eq!(unmatched(&template(&plan)), [first]);
    let quotes = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::pricing::get_quote").unwrap();
    quotes.trigger = Trigger::Routes { prefix: "/".into() };
    let router = r#"{"Fn::Sub":"integrations/${ShopPricingGetQuoteIntegration}"}"#;
    assert_eq!(unmatched(&template(&plan)), [router], "a router that takes all, and nobody else");
}

#[test]
fn a_url_takes_the_place_of_an_api() {
    let mut plan = fixture::in_one_unit();
    plan.settings.aws_lambda.http = Entry::FunctionUrl;
    let (artifacts, template) = (compile(&plan), template(&plan));
    assert!(!template.to_string().contains("ApiGateway") && !template.to_string().contains("AccessLog"));
    let resources = template["Resources"].as_object().unwrap().iter();
    let entrance: serde_json::Map<_, _> = resources
        .filter(|(name, _)| name.starts_with("AppFunctionUrl"))
        .map(|(name, one)| (name.clone(), one.clone()))
        .collect();
    insta::assert_json_snapshot!(serde_json::json!({ "Resources": entrance, "Outputs": template["Outputs"] }));
    let binding: Binding = serde_json::from_slice(&artifacts.get("binding.json").unwrap().bytes).unwrap();
    assert!(binding.units["app"].streams);
    plan.settings.aws_lambda.http = Entry::Api;
    let binding: Binding = serde_json::from_slice(&compile(&plan).get("binding.json").unwrap().bytes).unwrap();
    assert!(!binding.units["app"].streams);
}

#[test]
fn a_version_is_named_after_what_it_is_made_of() {
    let version = |plan: &Plan| {
        let template = template(plan);
        let names = names(&template, "AWS::Lambda::Version");
        names.into_iter().find(|name| name.starts_with("ShopOrdersShip")).unwrap().to_owned()
    };
    let plan = fixture::shop();
    let [mut built, mut larger, mut elsewhere, mut kept] = std::array::from_fn(|_| fixture::shop());
    built.digest = format!("sha256:{}", "1".repeat(64));
    let memory = LambdaFunction { memory: Some(1_024), ..LambdaFunction::default() };
    larger.settings.aws_lambda.functions.insert("shop-orders-ship".into(), memory.clone());
    elsewhere.settings.aws_lambda.functions.insert("audit-record".into(), memory);
    assert_eq!(version(&plan), version(&fixture::shop()));
    assert_eq!(version(&plan), version(&elsewhere), "another function's memory");
    let reserved = LambdaFunction { reserved: Some(4), ..LambdaFunction::default() };
    kept.settings.aws_lambda.functions.insert("shop-orders-ship".into(), reserved);
    assert_eq!(version(&plan), version(&kept), "what the account keeps for it");
    assert_ne!(version(&plan), version(&built));
    assert_ne!(version(&plan), version(&larger));
}

/// A logical id is what CloudFormation knows a table by: if another resource changed it, the data would stay behind.
#[test]
fn logical_ids_do_not_depend_on_what_else_there_is() {
    let whole = template(&fixture::shop());
    let mut plan = fixture::shop();
    let left = |id: &str| id.starts_with("shop::orders") || id == "shop::pricing::quote";
    plan.app.handlers.retain(|handler| left(&handler.id));
    plan.units.retain(|unit| unit.handlers.iter().any(|id| left(id)));
    let part = template(&plan);
    for kind in ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::IAM::Role"] {
        let (all, some) = (names(&whole, kind), names(&part, kind));
        assert!(!some.is_empty() && some.len() < all.len() + usize::from(kind == "AWS::DynamoDB::Table"));
        assert!(some.iter().all(|name| all.contains(name)), "{some:?} {all:?}");
    }
}

#[test]
fn settings_get_to_the_functions() {
    let mut plan = fixture::shop();
    let settings = &mut plan.settings.aws_lambda;
    settings.architecture = Architecture::X86;
    settings.log_retention_days = Some(7);
    settings.throttle.rate = Some(50);
    let function = |memory, concurrency, reserved| LambdaFunction { memory, concurrency, reserved };
    settings.functions.insert("*".into(), function(Some(256), Some(9), None));
    settings.functions.insert("shop-orders-ship".into(), function(None, Some(3), Some(4)));
    let template = template(&plan);
    let properties = |name: &str| template["Resources"][name]["Properties"].clone();
    let ship = properties("ShopOrdersShipFunction");
    assert_eq!((&ship["MemorySize"], &ship["ReservedConcurrentExecutions"]), (&256.into(), &4.into()));
    assert_eq!(ship["Architectures"][0], "x86_64");
    assert_eq!(properties("ShopOrdersShipLogs")["RetentionInDays"], 7);
    assert_eq!(properties("HttpStage")["DefaultRouteSettings"]["ThrottlingRateLimit"], 50);
    assert_eq!(properties("OrdersQueueMapping")["ScalingConfig"]["MaximumConcurrency"], 3);
}

/// A poller that takes more than its function may serve has spent an attempt of each message that is sent away.
#[test]
fn pollers_take_what_is_reserved() {
    let mut plan = fixture::shop();
    let reserved = |most| LambdaFunction { reserved: Some(most), ..LambdaFunction::default() };
    plan.settings.aws_lambda.functions.insert("audit-record".into(), reserved(5));
    plan.settings.aws_lambda.functions.insert("shop-orders-ship".into(), reserved(1));
    let template = template(&plan);
    let at_once = |queue: &str| {
        let mappings = names(&template, "AWS::Lambda::EventSourceMapping");
        let mapping = mappings.into_iter().find(|name| name.starts_with(queue)).unwrap();
        template["Resources"][mapping]["Properties"]["ScalingConfig"]["MaximumConcurrency"].clone()
    };
    assert_eq!(at_once("AuditRecord"), 5);
    assert_eq!(at_once("OrdersQueue"), 2, "AWS's least");
    assert_eq!(at_once("ShopMail"), Value::Null);
}

/// Whoever deploys may be held to it.
#[test]
fn all_roles_have_the_boundary_and_a_path_of_their_stacks() {
    let mut plan = fixture::with_books();
    plan.settings.aws_lambda.rollout = Some(Rollout::Canary { minutes: 5 });
    plan.settings.aws_lambda.permissions_boundary = Some("shop-boundary".into());
    let template = template(&plan);
    let roles = names(&template, "AWS::IAM::Role");
    assert!(
        ["OutboxTickRights", "SchedulerRights", "RolloutRights", "Role"]
            .iter()
            .all(|end| roles.iter().any(|role| role.ends_with(end)))
    );
    for role in roles {
        let properties = &template["Resources"][role]["Properties"];
        assert_eq!(properties["Path"]["Fn::Sub"], "/updraft/${AWS::StackName}/", "{role}");
        let boundary = "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/shop-boundary";
        assert_eq!(properties["PermissionsBoundary"]["Fn::Sub"], boundary, "{role}");
    }
}

/// Each by a configuration that CodeDeploy brings with it.
#[test]
fn aliases_move_in_steps_where_that_is_asked_for() {
    let steps = [5, 10, 15, 30]
        .map(|minutes| (Rollout::Canary { minutes }, format!("LambdaCanary10Percent{minutes}Minutes")))
        .into_iter()
        .chain([
            (Rollout::Linear { minutes: 1 }, "LambdaLinear10PercentEvery1Minute".to_owned()),
            (Rollout::Linear { minutes: 2 }, "LambdaLinear10PercentEvery2Minutes".to_owned()),
            (Rollout::Linear { minutes: 3 }, "LambdaLinear10PercentEvery3Minutes".to_owned()),
            (Rollout::Linear { minutes: 10 }, "LambdaLinear10PercentEvery10Minutes".to_owned()),
        ]);
    let at_once = template(&fixture::shop());
    assert!(names(&at_once, "AWS::CodeDeploy::Application").is_empty());
    for (rollout, config) in steps {
        let mut plan = fixture::shop();
        plan.settings.aws_lambda.rollout = Some(rollout);
        let template = template(&plan);
        let groups = names(&template, "AWS::CodeDeploy::DeploymentGroup");
        assert_eq!(groups.len(), plan.units.len());
        for group in groups {
            let named = &template["Resources"][group]["Properties"]["DeploymentConfigName"];
            assert_eq!(*named, format!("CodeDeployDefault.{config}"));
        }
        // Nothing else is another.
        for (name, resource) in at_once["Resources"].as_object().unwrap() {
            let mut moved = template["Resources"][name].clone();
            moved.as_object_mut().unwrap().remove("UpdatePolicy");
            assert_eq!(moved, *resource, "{name}");
        }
    }
}

#[test]
fn functions_know_the_collector() {
    let mut plan = fixture::shop();
    plan.settings.telemetry = Some(Telemetry {
        endpoint: Some("https://otel.example.com".into()),
        ratio: Some(0.25),
        metrics: Metrics::None,
        ..Telemetry::default()
    });
    let template = template(&plan);
    let variables = &template["Resources"]["ShopOrdersShipFunction"]["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["OTEL_EXPORTER_OTLP_ENDPOINT"], "https://otel.example.com");
    assert_eq!(variables["OTEL_TRACES_SAMPLER_ARG"], "0.25");
    assert_eq!(variables["OTEL_METRICS_EXPORTER"], "none");
}

/// What AWS does not bind is bound as the settings say; the rest has AWS's engines, whatever clusters have.
#[test]
fn the_binding_names_engines_of_aws() {
    let mut plan = fixture::shop();
    let elsewhere = Engine::Hosts { base_url: Some("https://sandbox.example.com".into()) };
    plan.engines.insert((Kind::External, "mailer".into()), elsewhere.clone());
    let binding: Binding = serde_json::from_slice(&compile(&plan).get("binding.json").unwrap().bytes).unwrap();
    assert_eq!(binding.resources["store"]["stock"], Engine::DynamoDb {});
    assert_eq!(binding.resources["queue"]["orders"], Engine::Sqs {});
    assert_eq!(binding.resources["external"]["mailer"], elsewhere);
    assert_eq!(binding.units.len(), plan.units.len());
}

#[test]
fn same_bytes_twice() {
    assert_eq!(compile(&fixture::shop()), compile(&fixture::shop()));
}

/// A database's URL is a secret of the stack's. Who commits messages there hands on what others left, and one of them is asked
/// to every minute.
#[test]
fn a_database_is_somebody_elses() {
    let mut plan = fixture::with_books();
    let made = template(&plan);
    assert_eq!(names(&made, "AWS::SecretsManager::Secret"), ["BooksDatabaseUrl", "MailerKeySecret"]);
    let role = |unit: &str| {
        let rights = rights(&made);
        let own = rights.split("\n").skip_while(|line| !line.starts_with(unit)).skip(1);
        own.take_while(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let has = |unit: &str, action: &str, on: &str| {
        role(unit).iter().any(|right| right.contains(action) && right.contains(on))
    };
    assert!(has("ShopOrdersPlaceOrder", "secretsmanager:GetSecretValue", "BooksDatabaseUrl"));
    assert!(has("ShopOrdersPlaceOrder", "sqs:SendMessage", "ShipX"), "the dead letters of who takes orders");
    assert!(has("ShopOrdersGetOrder", "secretsmanager:GetSecretValue", "BooksDatabaseUrl"));
    assert!(!has("ShopOrdersGetOrder", "sqs:SendMessage", ""), "it only reads");
    let tick = &made["Resources"]["BooksOutboxTick"]["Properties"];
    assert_eq!(tick["ScheduleExpression"], "rate(1 minute)");
    assert_eq!(tick["Target"]["Input"], r#"{"updraft":{"outbox":{"database":"books"}}}"#);
    let binding: Binding = serde_json::from_slice(&compile(&plan).get("binding.json").unwrap().bytes).unwrap();
    let engine = Engine::Postgres { url_secret: "database/books".into(), max_connections: None };
    assert_eq!(binding.resources["database"]["books"], engine);
    assert_eq!(binding.resources["secret"]["database/books"], Engine::SecretsManager {});
    let network = |made: &Value| -> Vec<bool> {
        let functions = names(made, "AWS::Lambda::Function").into_iter();
        functions.map(|name| !made["Resources"][name]["Properties"]["VpcConfig"].is_null()).collect()
    };
    assert!(!network(&made).contains(&true));
    let database = &mut plan.settings.aws_lambda.database;
    (database.subnets, database.security_groups) = (vec!["subnet-1".into()], vec!["sg-1".into()]);
    let moved = template(&plan);
    assert_eq!(network(&moved).iter().filter(|is| **is).count(), 2, "those that reach it, and no others");
    // A version stays where it was published: who is elsewhere now is another.
    let before = names(&made, "AWS::Lambda::Version");
    let after = names(&moved, "AWS::Lambda::Version");
    assert_eq!(after.iter().filter(|name| !before.contains(name)).count(), 2);
}

/// Each message of a handler with a database has a connection: they are not handed out faster than there are some.
#[test]
fn a_handler_with_a_database_takes_as_many_messages_as_it_has_connections() {
    let mut plan = fixture::with_books();
    let ship = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::orders::ship").unwrap();
    let mut grant = ship.grants.first().unwrap().clone();
    (grant.kind, grant.resource) = (Kind::Database, "books".into());
    ship.grants.insert(grant);
    let batch = |plan: &Plan| {
        let made = template(plan);
        made["Resources"]["OrdersQueueMapping"]["Properties"]["BatchSize"].as_u64().unwrap()
    };
    assert_eq!(batch(&plan), 1);
    plan.settings.aws_lambda.database.connections = Some(3);
    assert_eq!(batch(&plan), 3);
}

/// What AWS keeps is bound whatever clusters have for it.
#[test]
fn bindings_of_clusters_are_not_asked() {
    let bound = fixture::shop();
    let mut plan = bound.clone();
    plan.engines.clear();
    assert_eq!(compile(&plan).get("binding.json").unwrap().bytes, compile(&bound).get("binding.json").unwrap().bytes);
}
