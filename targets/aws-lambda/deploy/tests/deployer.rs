//! The role that deploys: AWS's own linters take it, and it allows what is asked and no more.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use updraft_aws_deploy::{Deployer, Issuer, PART_TAG};
use updraft_validate::cloudformation;

/// An application of one stack has no parts.
static NONE: BTreeMap<String, Value> = BTreeMap::new();

fn example(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples").join(name);
    serde_json::from_slice(&std::fs::read(file.join("expected/aws-lambda/template.json")).unwrap()).unwrap()
}

fn role(app: &str, issuer: Issuer, template: &Value) -> Value {
    Deployer {
        app,
        stack: &format!("{app}-production"),
        bucket: None,
        repository: None,
        template,
        parts: &NONE,
        issuer,
    }
    .template()
    .unwrap()
}

/// One of each type that the target knows.
fn all_types() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/resources");
    let mut resources = serde_json::Map::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for kind in text.split("const TYPE: &'static str = \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            resources.insert(kind.rsplit(':').next().unwrap().to_owned(), json!({ "Type": kind }));
        }
    }
    assert!(resources.len() > 15, "{resources:?}");
    let parameters = json!({ "KeySecret": { "from": ["secret key"] } });
    json!({ "Resources": resources, "Metadata": { "updraft": { "parameters": parameters } } })
}

/// The same template, with code that is an image.
fn as_an_image(mut template: Value) -> Value {
    for (_, resource) in template["Resources"].as_object_mut().unwrap() {
        if resource["Type"] == "AWS::Lambda::Function" {
            resource["Properties"]["PackageType"] = json!("Image");
        }
    }
    template
}

fn statements(role: &Value) -> &Vec<Value> {
    role["Resources"]["Deployer"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap()
}

/// With the statements of the policies beside its own in that.
fn whole(mut role: Value) -> Value {
    let beside: Vec<Value> = (1..)
        .map_while(|at| role["Resources"].get(format!("More{at}")))
        .flat_map(|policy| policy["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap().clone())
        .collect();
    let own = &mut role["Resources"]["Deployer"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    own.as_array_mut().unwrap().extend(beside);
    role
}

#[test]
fn the_role_of_the_shop() {
    insta::assert_snapshot!(format!("{:#}", role("shop", Issuer::GitHub, &example("shop"))));
}

/// The shop's template with many buckets and secrets.
fn with_much() -> Value {
    let mut template = example("shop");
    for at in 0..100 {
        let name = json!({ "Fn::Sub": [format!("shop-bucket-{at}-${{Stack}}"), {}] });
        template["Resources"][format!("Bucket{at}")] =
            json!({ "Type": "AWS::S3::Bucket", "Properties": { "BucketName": name } });
        template["Resources"][format!("Key{at}Secret")] = json!({ "Type": "AWS::SecretsManager::Secret" });
    }
    template
}

#[test]
fn linters_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let roles = [
        ("shop", role("shop", Issuer::GitHub, &example("shop"))),
        ("library", role("library", Issuer::GitLab, &example("library"))),
        ("everything", role("everything", Issuer::GitHub, &as_an_image(all_types()))),
        ("much", role("shop", Issuer::GitHub, &with_much())),
    ];
    assert!(roles[3].1["Resources"]["More2"].is_object());
    let mut files = Vec::new();
    for (name, role) in &roles {
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, role.to_string()).unwrap();
        files.push(file);
    }
    let mut findings = cloudformation::cfn_lint(&files, folder.path()).unwrap();
    let named: Vec<(String, Value)> = roles.iter().map(|(name, role)| ((*name).to_owned(), role.clone())).collect();
    findings.extend(cloudformation::parliament(&named, folder.path()).unwrap());
    let said = findings.iter().map(ToString::to_string);
    // An action that is younger than parliament's list of them.
    let said: Vec<String> =
        said.filter(|said| !said.contains("Unknown action cloudformation:DescribeEvents")).collect();
    assert_eq!(said, Vec::<String>::new());
}

/// What one policy does not hold is in others, which the role has too, and no pipeline can change.
#[test]
fn a_role_may_have_several_policies() {
    let role = role("shop", Issuer::GitHub, &with_much());
    let resources = role["Resources"].as_object().unwrap();
    let beside: Vec<&String> = resources.keys().filter(|name| name.starts_with("More")).collect();
    let attached = &role["Resources"]["Deployer"]["Properties"]["ManagedPolicyArns"];
    assert_eq!(*attached, beside.iter().map(|name| json!({ "Ref": name })).collect::<Value>());
    let documents = beside.iter().map(|name| &resources[*name]["Properties"]["PolicyDocument"]);
    let all: Vec<&Value> =
        documents.flat_map(|one| one["Statement"].as_array().unwrap()).chain(statements(&role)).collect();
    let allows = |action: &str, on: &str| {
        let named = |one: &&Value| one["Action"].as_array().unwrap().contains(&json!(action));
        all.iter().copied().filter(named).any(|one| one["Resource"].to_string().contains(on))
    };
    for at in 0..100 {
        assert!(allows("s3:PutBucketNotification", &format!(":s3:::shop-bucket-{at}-*")));
        assert!(allows("secretsmanager:CreateSecret", &format!("secret:Key{at}Secret-*")));
    }
    assert!(!all.iter().any(|one| one["Effect"] == "Allow" && one.to_string().contains(":policy/")));
}

/// No action is a pattern; what is allowed on more than the stack's own says why.
#[test]
fn nothing_is_wide_without_a_reason() {
    let role = whole(role("everything", Issuer::GitHub, &as_an_image(all_types())));
    for statement in statements(&role).iter().filter(|statement| statement["Effect"] == "Allow") {
        let sid = statement["Sid"].as_str().unwrap();
        let actions = statement["Action"].as_array().unwrap();
        assert!(actions.iter().all(|action| !action.as_str().unwrap().contains('*')), "{statement}");
        let own = |resource: &Value| {
            let text = resource["Fn::Sub"].as_str().unwrap_or_default();
            // A stack whose name goes on may be another application's.
            let may_be_anothers = text.contains(":stack/everything-production-*/");
            let is_named = text.contains("everything") || text.contains(":secret:Secret-") || text.contains(":s3:::");
            is_named && !may_be_anothers
        };
        let narrow = statement["Resource"].as_array().unwrap().iter().all(own);
        let why = &role["Metadata"]["updraft"]["wide"][sid];
        assert_eq!(narrow, why.is_null(), "{statement} {why}");
    }
    // What all types take together is little more than what stands in a role.
    assert!(role["Resources"]["More2"].is_null());
}

/// What this crate asks for is what the role allows.
#[test]
fn what_is_asked_is_allowed() {
    let role = whole(role("everything", Issuer::GitHub, &as_an_image(all_types())));
    let allowed: BTreeSet<&str> = statements(&role)
        .iter()
        .filter(|statement| statement["Effect"] == "Allow")
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .filter_map(Value::as_str)
        .collect();
    let sources = [
        ("cloudformation", include_str!("../src/cloudformation.rs"), &[".ask(\"", ".all(\"", "CloudFormation, \""][..]),
        ("s3", include_str!("../src/s3.rs"), &[".ask(\""]),
        ("s3", include_str!("../src/bucket.rs"), &[".configure(\""]),
        ("ecr", include_str!("../src/repository.rs"), &[".ask(\""]),
        ("ecr", include_str!("../src/registry.rs"), &[".ask(\""]),
        ("secretsmanager", include_str!("../src/secrets.rs"), &["SecretsManager, \""]),
        ("ssm", include_str!("../src/parameters.rs"), &["Ssm, \""]),
    ];
    let mut asked = BTreeSet::new();
    for (service, text, marks) in sources {
        for mark in marks {
            let calls = text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            let calls: Vec<String> = calls.map(|action| format!("{service}:{action}")).collect();
            assert!(!calls.is_empty(), "{service} {mark}");
            asked.extend(calls);
        }
    }
    let missing: Vec<&String> = asked.iter().filter(|action| !allowed.contains(action.as_str())).collect();
    assert!(missing.is_empty() && asked.len() > 20, "{missing:?} of {asked:?}");
}

/// What a role's name is matched with, up to its end.
fn reached<'a>(role: &'a Value, effect: &'a str) -> impl Iterator<Item = String> + 'a {
    let of = statements(role).iter().filter(move |statement| statement["Effect"] == effect);
    let resources = of.flat_map(|statement| statement["Resource"].as_array().unwrap());
    let roles = resources.filter_map(|resource| resource["Fn::Sub"].as_str()?.split_once(":role"));
    roles.map(|(_, name)| name.strip_suffix('*').expect("a prefix").to_owned())
}

/// It makes roles, and is one.
#[test]
fn nobody_gives_rights_to_themselves() {
    let template = all_types();
    // Whatever the stack is called, even as the path is.
    for stack in ["shop", "u", "updraft-deployer", "a-stack-whose-name-is-longer-than-is-shown"] {
        let deployer = Deployer {
            app: "shop",
            stack,
            bucket: None,
            repository: None,
            template: &template,
            parts: &NONE,
            issuer: Issuer::GitHub,
        };
        let role = whole(deployer.template().unwrap());
        let own = format!(
            "{}updraft-deployer-of-{stack}-Deployer-1ABC",
            role["Resources"]["Deployer"]["Properties"]["Path"].as_str().unwrap()
        );
        assert!(reached(&role, "Deny").any(|prefix| own.starts_with(&prefix)), "{stack}");
        let allowed: Vec<String> = reached(&role, "Allow").collect();
        assert!(!allowed.is_empty() && !allowed.iter().any(|prefix| own.starts_with(prefix)), "{stack} {allowed:?}");
        for (another, reached) in
            [(stack.to_owned(), true), (format!("{stack}-prod"), false), (format!("{stack}2"), false)]
        {
            let role = format!("/updraft/{another}/{another}-FunctionRole-1ABC");
            assert_eq!(allowed.iter().any(|prefix| role.starts_with(prefix)), reached, "{stack} {allowed:?}");
        }
    }
}

/// The shop's template, whose roles have this boundary.
fn within(boundary: &Value) -> Value {
    let mut template = example("shop");
    for (_, resource) in template["Resources"].as_object_mut().unwrap() {
        if resource["Type"] == "AWS::IAM::Role" {
            resource["Properties"]["PermissionsBoundary"] = boundary.clone();
        }
    }
    template
}

/// Roles are made within a boundary that the pipeline can't change: it may write no role's policies without.
#[test]
fn roles_are_made_within_a_boundary() {
    let arn = json!({ "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/shop-boundary" });
    let template = within(&arn);
    let whole = role("shop", Issuer::GitHub, &template);
    let on_roles = |whole: &Value, action: &str| {
        let mut all = statements(whole).iter().filter(|one| one["Effect"] == "Allow");
        let found = all.find(|one| one["Action"].as_array().unwrap().contains(&json!(action)));
        found.map(|one| one["Condition"]["StringEquals"]["iam:PermissionsBoundary"].clone())
    };
    for action in ["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"] {
        assert_eq!(on_roles(&whole, action), Some(arn.clone()), "{action}");
    }
    for action in
        ["iam:DeleteRolePermissionsBoundary", "iam:AttachRolePolicy", "iam:CreatePolicyVersion", "iam:CreatePolicy"]
    {
        assert_eq!(on_roles(&whole, action), None, "{action}");
    }
    let policy = &whole["Resources"]["Boundary"]["Properties"];
    assert_eq!(policy["ManagedPolicyName"], "shop-boundary");
    // All that the roles may do is within it.
    let most: Vec<&Value> = policy["PolicyDocument"]["Statement"].as_array().unwrap().iter().collect();
    let of = |action: &Value| most.iter().any(|one| one["Action"].as_array().unwrap().contains(action));
    let roles = template["Resources"].as_object().unwrap().values().filter(|one| one["Type"] == "AWS::IAM::Role");
    let mut count = 0;
    for statement in
        roles.flat_map(|role| role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap())
    {
        for action in statement["Action"].as_array().unwrap() {
            assert!(of(action), "{action}");
            count += 1;
        }
    }
    assert!(count > 20 && !of(&json!("iam:CreateRole")), "{count}");
    // IAM's limit on a managed policy, spaces apart.
    let size = policy["PolicyDocument"].to_string().len();
    assert!(size < 6_144, "{size}");
    for narrow in most.iter().filter(|one| !["ec2", "xray"].contains(&one["Sid"].as_str().unwrap())) {
        for resource in narrow["Resource"].as_array().unwrap() {
            let text = resource["Fn::Sub"].as_str().unwrap();
            assert!(text.contains("shop-") || text.contains(":secret:"), "{text}");
        }
    }
    // One of one's own is nobody's to make.
    let foreign = role("shop", Issuer::GitHub, &within(&json!("arn:aws:iam::123456789012:policy/team/shop")));
    assert!(foreign["Resources"]["Boundary"].is_null());
    assert_eq!(on_roles(&foreign, "iam:CreateRole"), Some(json!("arn:aws:iam::123456789012:policy/team/shop")));
}

/// Of a bucket that somebody named it makes nothing, and so may not.
#[test]
fn a_named_bucket_is_only_used() {
    let template = example("shop");
    let deployer = Deployer {
        app: "shop",
        stack: "shop",
        bucket: Some("releases"),
        repository: None,
        template: &template,
        parts: &NONE,
        issuer: Issuer::GitHub,
    };
    let role = deployer.template().unwrap();
    let of = |sid: &str| statements(&role).iter().find(|one| one["Sid"] == sid).unwrap()["Action"].clone();
    assert_eq!(of("CodeBucket"), json!(["s3:ListBucket"]));
    assert_eq!(of("Code"), json!(["s3:GetObject", "s3:PutObject"]));
}

/// Only who deploys an image may bring one anywhere.
#[test]
fn a_repository_is_of_images() {
    let rights = |template: &Value, repository: Option<&str>| {
        let deployer = Deployer {
            app: "shop",
            stack: "shop",
            bucket: None,
            repository,
            template,
            parts: &NONE,
            issuer: Issuer::GitHub,
        };
        let role = deployer.template().unwrap();
        statements(&role).iter().filter(|one| one.to_string().contains("\"ecr:")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(rights(&example("shop"), None), Vec::<Value>::new());
    let template = as_an_image(example("shop"));
    for (named, name, makes) in [(None, "updraft/shop", true), (Some("team/shop"), "team/shop", false)] {
        let rights = rights(&template, named);
        let [images, password] = rights.as_slice() else { panic!("{rights:?}") };
        assert_eq!(images["Resource"].as_array().unwrap().len(), 1);
        let on = images["Resource"][0]["Fn::Sub"].as_str().unwrap();
        assert!(on.ends_with(&format!(":repository/{name}")), "{on}");
        assert_eq!(images["Action"].as_array().unwrap().contains(&json!("ecr:CreateRepository")), makes);
        assert_eq!(password["Action"], json!(["ecr:GetAuthorizationToken"]));
    }
}

/// Whether a role may do something with a stack of this name and these tags.
fn may(role: &Value, action: &str, stack: &str, tags: &[(&str, &str)]) -> bool {
    let arn = format!("arn:${{AWS::Partition}}:cloudformation:${{AWS::Region}}:${{AWS::AccountId}}:stack/{stack}/0a1b");
    let is_matched = |pattern: &Value| {
        let mut rest = arn.as_str();
        let mut pieces = pattern["Fn::Sub"].as_str().unwrap_or_default().split('*');
        let Some(after) = rest.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
        rest = after;
        pieces.all(|piece| match rest.find(piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    };
    let holds = |(key, expected): (&String, &Value)| {
        let tag = key.strip_prefix("aws:ResourceTag/").expect("no other condition");
        tags.iter().any(|(name, value)| *name == tag && expected == value)
    };
    statements(role).iter().any(|statement| {
        let conditions = statement["Condition"].as_object();
        statement["Effect"] == "Allow"
            && statement["Action"].as_array().unwrap().contains(&json!(action))
            && statement["Resource"].as_array().unwrap().iter().any(is_matched)
            && conditions.into_iter().flatten().all(|(operator, of)| {
                assert_eq!(operator, "StringEquals");
                of.as_object().unwrap().iter().all(holds)
            })
    })
}

/// A release may bring parts and take others away, of which it knows nothing: those that are there it may change and delete,
/// and it may ask whether they are there.
#[test]
fn parts_that_go_are_within_reach() {
    let main = json!({ "Resources": { "Told": { "Type": "AWS::SSM::Parameter" } } });
    let part = json!({ "Resources": { "It": { "Type": "AWS::Lambda::Function" } } });
    let parts = BTreeMap::from([("shop-0".to_owned(), part)]);
    let with = |parts: &BTreeMap<String, Value>, template: &Value| {
        let (bucket, repository, issuer) = (None, None, Issuer::GitHub);
        Deployer { app: "shop", stack: "shop", bucket, repository, template, parts, issuer }.template().unwrap()
    };
    let single = json!({ "Resources": { "It": { "Type": "AWS::Lambda::Function" } } });
    let part_of = |stack| [("updraft:app", "shop"), (PART_TAG, stack)];
    let changes = ["CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "DeleteStack", "ContinueUpdateRollback"];
    let reads = ["DescribeChangeSet", "GetTemplate", "ListChangeSets", "ListStackResources"];
    let asks = ["DescribeEvents", "DescribeStackEvents", "DescribeStacks"];
    for role in [with(&parts, &main), with(&NONE, &single)] {
        let may = |action: &str, stack: &str, tags: &[(&str, &str)]| {
            may(&role, &format!("cloudformation:{action}"), stack, tags)
        };
        for action in changes.into_iter().chain(reads) {
            assert!(may(action, "shop", &[]), "{action}");
            assert!(may(action, "shop-shop--image", &part_of("shop")), "{action}");
            // Another application's, or another stack's part, whatever it is called.
            assert!(!may(action, "shop-shop--image", &[("updraft:app", "shop")]), "{action}");
            assert!(!may(action, "shop-prod-shop", &part_of("shop-prod")), "{action}");
            assert!(!may(action, "shopping-shop", &part_of("shop")), "{action}");
        }
        for action in asks {
            // One that is gone has no tags.
            assert!(may(action, "shop-shop--image", &[]) && !may(action, "shopping", &[]), "{action}");
        }
        // What they have told each other goes with them; no secret's value is among it.
        let said = statements(&role).iter().filter(|one| one.to_string().contains("\"ssm:DeleteParameter\""));
        let on: Vec<&Value> = said.flat_map(|one| one["Resource"].as_array().unwrap()).collect();
        let ends = ["/parts/*", "/release", "/resources/*"];
        assert_eq!(on.len(), ends.len(), "{on:?}");
        for (on, end) in on.iter().zip(ends) {
            assert!(on["Fn::Sub"].as_str().unwrap().ends_with(&format!(":parameter/updraft/shop{end}")), "{on}");
        }
        assert!(statements(&role).iter().any(|one| one["Action"] == json!(["ssm:GetParametersByPath"])));
    }
    // Only what a release has is made.
    assert!(may(&with(&parts, &main), "cloudformation:CreateChangeSet", "shop-shop-0", &[]));
    assert!(!may(&with(&NONE, &single), "cloudformation:CreateChangeSet", "shop-shop-0", &[]));
}

/// It deploys each part's stack, finds which there are, and has the rights that what is in them takes.
#[test]
fn parts_are_deployed_too() {
    let main = json!({ "Resources": { "Told": { "Type": "AWS::SSM::Parameter" } } });
    let part = json!({ "Resources": { "It": { "Type": "AWS::Lambda::Function" } } });
    let parts = BTreeMap::from([("shop-orders".to_owned(), part)]);
    let of = |parts: &BTreeMap<String, Value>| {
        let (bucket, repository, issuer) = (None, None, Issuer::GitHub);
        let deployer = Deployer { app: "shop", stack: "shop", bucket, repository, template: &main, parts, issuer };
        deployer.template().unwrap()
    };
    let [with, without] = [of(&parts), of(&NONE)];
    let resources = |role: &Value, sid: &str| {
        let one = statements(role).iter().find(|one| one["Sid"] == sid);
        one.map(|one| one["Resource"].to_string()).unwrap_or_default()
    };
    assert!(resources(&with, "Stack").contains("stack/shop-shop-orders/*"), "{}", resources(&with, "Stack"));
    assert!(!resources(&without, "Stack").contains("shop-shop-orders"));
    assert!(resources(&with, "Parts").contains("parameter/updraft/shop/parts/*"), "{}", resources(&with, "Parts"));
    assert!(resources(&with, "Stored").contains("parameter/updraft/shop/resources/*"));
    assert_eq!(resources(&without, "Functions"), "");
    assert!(!resources(&with, "Functions").is_empty());
    // A part's roles are bounded as any.
    let bound = json!({ "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/shop-boundary" });
    let properties = json!({ "PermissionsBoundary": bound, "Policies": [] });
    let part = json!({ "Resources": { "It": { "Type": "AWS::IAM::Role", "Properties": properties } } });
    let bounded = of(&BTreeMap::from([("shop-orders".to_owned(), part)]));
    let roles = statements(&bounded).iter().find(|one| one["Sid"] == "BoundRoles").unwrap();
    assert_eq!(roles["Condition"]["StringEquals"]["iam:PermissionsBoundary"], bound);
    assert_eq!(bounded["Resources"]["Boundary"]["Properties"]["ManagedPolicyName"], "shop-boundary");
}
