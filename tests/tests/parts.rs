//! An application of several stacks, deployed by the command itself: nothing is missing for a moment, and nothing is left.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests")]

use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use updraft_tests::aws;
use updraft_tests::deploying::{Account, PLAIN, Said, pipeline, said, zip_for};
use updraft_tests::http::{Answer, Http};

/// As `[env.parts]` of its settings says.
const PARTS: [&str; 2] = ["--env", "parts"];

/// The application's API.
struct Api {
    url: String,
    host: String,
    runtime: tokio::runtime::Runtime,
    http: Http,
}

impl Api {
    /// Of what was deployed. What it asks for has a value then.
    fn of(account: &Account, deployed: &Said) -> Self {
        let deployed = deployed.object("deployed");
        for secret in deployed["empty_secrets"].as_array().unwrap() {
            let value = json!({ "SecretId": secret, "SecretString": "letmein" }).to_string();
            let target =
                [("x-amz-target", "secretsmanager.PutSecretValue"), ("content-type", "application/x-amz-json-1.1")];
            account.send("POST", "", "secretsmanager", &target, value);
        }
        let url = deployed["outputs"]["ApiUrl"].as_str().unwrap();
        let id = url.split("//").nth(1).unwrap().split('.').next().unwrap();
        let endpoint = account.endpoint();
        let port = endpoint.rsplit(':').next().unwrap();
        let host = format!("{id}.execute-api.127.0.0.1:{port}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Api { url: endpoint, host, runtime, http: Http::one() }
    }

    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let headers = [("host", self.host.as_str()), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let url = format!("{}{path}", self.url);
        self.runtime.block_on(self.http.send(method, &url, &headers, body)).unwrap()
    }

    /// A note goes all the way, through both functions of the first part and the queue between them.
    #[track_caller]
    fn keeps(&self, id: &str) {
        let taken = self.ask("POST", "/notes", Some(json!({ "id": id, "text": "kept" })));
        assert_eq!(taken.status, 202, "{}", taken.text());
        loop {
            let shown = self.ask("GET", &format!("/notes/{id}"), None);
            assert_eq!(shown.status, 200, "{}", shown.text());
            if shown.text() == "kept" {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn deploy_command(account: &Account, features: &str, more: &[&str]) -> Command {
    let mut command = account.deploy_command(features, &["--yes"]);
    command.args(more);
    command
}

/// The stacks that there are, by name.
fn stacks(account: &Account) -> Vec<String> {
    let listed = account.ask("DescribeStacks", "");
    let mut names: Vec<String> =
        listed.split("<StackName>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn status(account: &Account) -> Value {
    said(account.command(&["status"]).args(PARTS)).ends(0).object("status")
}

const ALL: [&str; 3] = ["deployed", "deployed-deployed", "deployed-deployed-kept"];

/// As `[env.data]` of its settings says.
const DATA: [&str; 5] = [
    "deployed",
    "deployed-deployed",
    "deployed-deployed--data",
    "deployed-deployed-kept--data",
    "deployed-deployed-shelf--data",
];

#[test]
fn several_stacks_are_one_application() {
    let Some(account) = Account::new() else { return };
    let first = said(&mut deploy_command(&account, PLAIN, &PARTS)).ends(0);
    assert_eq!(stacks(&account), ALL);
    let api = Api::of(&account, &first);
    api.keeps("first");
    let again = said(&mut deploy_command(&account, PLAIN, &PARTS)).ends(0);
    assert_eq!(again.object("deployed")["changed"], false, "{}", again.err);

    let mut diff = account.command(&["diff", "--features", "more"]);
    let plan = said(diff.arg("--code").arg(updraft_tests::deploying::zip("more")).args(PARTS)).ends(0).object("plan");
    let more = said(&mut deploy_command(&account, "more", &PARTS)).ends(0);
    assert_eq!(more.object("plan"), plan);
    assert_eq!(plan["graph"][0]["id"], "deployed::kept::health", "{plan}");
    let health = api.ask("GET", "/up", None);
    assert_eq!(health.status, 204, "{}", health.text());
    api.keeps("second");
    let now = status(&account);
    assert_eq!((now["parts"].as_array().unwrap().len(), &now["between"]), (2, &Value::from(false)), "{now}");
    let deployed = more.object("deployed");
    assert_eq!(now["version"], deployed["version"]);

    // Back again, and then without what the second part is there for.
    said(account.command(&["rollback", "--yes"]).args(PARTS)).ends(0);
    assert_eq!(status(&account)["version"], first.object("deployed")["version"]);
    assert_eq!(api.ask("GET", "/up", None).status, 404);
    let refused = said(&mut deploy_command(&account, "fewer", &PARTS)).ends(1);
    assert_eq!(refused.codes(), ["UD2102"], "{}", refused.out);
    said(&mut deploy_command(&account, "fewer", &["--env", "parts", "--allow-replacement"])).ends(0);
    assert_eq!(stacks(&account), ALL[..2]);
    api.keeps("third");

    let removed = said(account.command(&["remove", "--yes"]).args(PARTS)).ends(0).object("removed");
    let kept = removed["kept"].as_array().unwrap();
    assert!(kept.iter().any(|kept| kept["kind"] == "AWS::DynamoDB::Table"), "{removed}");
    assert!(kept.iter().all(|kept| kept["kind"] != "AWS::SSM::Parameter"), "{removed}");
    assert_eq!(stacks(&account), [""; 0]);
}

/// What keeps something goes and comes like the rest; what would be made anew elsewhere is asked about.
#[test]
fn modules_keep_what_is_theirs() {
    let Some(account) = Account::new() else { return };
    let env = ["--env", "data"];
    let first = said(&mut deploy_command(&account, PLAIN, &env)).ends(0);
    assert_eq!(stacks(&account), DATA);
    let api = Api::of(&account, &first);
    api.keeps("first");
    let again = said(&mut deploy_command(&account, PLAIN, &env)).ends(0);
    assert_eq!(again.object("deployed")["changed"], false, "{}", again.err);
    said(&mut deploy_command(&account, "more", &env)).ends(0);
    api.keeps("second");
    assert_eq!(api.ask("GET", "/up", None).status, 204);
    let refused = said(&mut deploy_command(&account, "partitioned", &env)).ends(1);
    assert_eq!(refused.codes(), ["UD2102"], "{}", refused.out);
    assert_eq!(refused.object("plan")["dangers"][0]["logical"], "ShelfTable", "{}", refused.out);
    // In one stack it would be another table.
    let refused = account.deploy("more", &["--yes"]).ends(1);
    assert_eq!(refused.codes()[0], "UD2102", "{}", refused.out);
    api.keeps("third");
    said(&mut deploy_command(&account, "fewer", &["--env", "data", "--allow-replacement"])).ends(0);
    assert_eq!(stacks(&account), [DATA[0], DATA[1], DATA[2], DATA[4]]);
    api.keeps("fourth");
    // Dead letters are looked for where they are.
    let sqs = |action: &str, body: Value| {
        let target = format!("AmazonSQS.{action}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.0")];
        serde_json::from_str::<Value>(&account.send("POST", "", "sqs", &headers, body.to_string())).unwrap()
    };
    let queues = sqs("ListQueues", json!({}));
    let mut urls = queues["QueueUrls"].as_array().unwrap().iter().filter_map(Value::as_str);
    let letters = urls.find(|url| url.contains("--data-DeployedKeep") && url.contains("DeadLetters")).unwrap();
    sqs("SendMessage", json!({ "QueueUrl": letters, "MessageBody": "{\"id\": \"lost\", \"text\": \"x\"}" }));
    let found = said(account.command(&["dead-letters", "list"]).args(env)).ends(0);
    let found: Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(found["letters"][0]["handler"], "deployed::keep", "{found}");
    let removed = said(account.command(&["remove", "--yes"]).args(env)).ends(0).object("removed");
    let kept = removed["kept"].as_array().unwrap();
    assert!(kept.iter().any(|kept| kept["kind"] == "AWS::DynamoDB::Table"), "{removed}");
    assert_eq!(stacks(&account), [""; 0]);
}

/// This path answers so all the while.
fn asking_meanwhile(account: &Account, deployed: &Said, (path, answer): (&str, (u16, &str)), change: impl FnOnce()) {
    let (ended, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let api = Api::of(account, deployed);
            while !ended.load(Ordering::Relaxed) {
                let shown = api.ask("GET", path, None);
                let asked_before = asked.load(Ordering::Relaxed);
                assert_eq!((shown.status.as_u16(), shown.text().as_str()), answer, "{asked_before}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(change));
        ended.store(true, Ordering::Relaxed);
        asking.join().unwrap();
        changed.unwrap();
    });
    assert!(asked.load(Ordering::Relaxed) > 5);
}

/// An application that outgrows its stack, and one that shrinks again.
#[test]
fn functions_move_while_they_are_asked() {
    let Some(account) = Account::new() else { return };
    let single = account.deploy(PLAIN, &["--yes"]).ends(0);
    let api = Api::of(&account, &single);
    api.keeps("before");
    asking_meanwhile(&account, &single, ("/notes/before", (200, "kept")), || {
        said(&mut deploy_command(&account, PLAIN, &PARTS)).ends(0);
        assert_eq!(stacks(&account), ALL);
        account.deploy(PLAIN, &["--yes"]).ends(0);
    });
    assert_eq!(stacks(&account), ALL[..1]);
    api.keeps("after");
    assert_eq!(account.version(), single.object("deployed")["version"]);
}

/// Functions that go from one part to another are asked where they were until requests are led to where they are.
#[test]
fn functions_move_between_parts_while_they_are_asked() {
    let Some(account) = Account::new() else { return };
    let first = said(&mut deploy_command(&account, "more", &PARTS)).ends(0);
    let api = Api::of(&account, &first);
    api.keeps("before");
    asking_meanwhile(&account, &first, ("/up", (204, "")), || {
        said(&mut deploy_command(&account, "more", &["--env", "together"])).ends(0);
        assert_eq!(stacks(&account), ALL[..2]);
        // Now they leave a part that stays.
        said(&mut deploy_command(&account, "more", &PARTS)).ends(0);
        assert_eq!(stacks(&account), ALL);
    });
    api.keeps("after");
    assert_eq!(status(&account)["version"], first.object("deployed")["version"]);

    // Nor is a function gone that is asked where a run ends early, wherever that is.
    said(&mut deploy_command(&account, "more", &["--env", "together"])).ends(0);
    for mark in ["Stack deployed-deployed-kept", "Stack deployed-deployed: functions that leave", "Kept", "Release"] {
        account.kill_at(deploy_command(&account, "more", &PARTS), mark);
        for _ in 0..10 {
            assert_eq!(api.ask("GET", "/up", None).status, 204, "{mark}");
        }
        said(&mut deploy_command(&account, "more", &["--env", "together"])).ends(0);
        assert_eq!(stacks(&account), ALL[..2]);
    }
}

/// What is the main stack's alone is changed in one step, and comes to its end.
#[test]
fn the_main_stack_changes_alone() {
    let Some(account) = Account::new() else { return };
    said(&mut deploy_command(&account, PLAIN, &PARTS)).ends(0);
    let less = said(&mut deploy_command(&account, PLAIN, &["--env", "throttled"])).ends(0);
    let plan = less.object("plan");
    let changed: Vec<&str> =
        plan["resources"].as_array().unwrap().iter().filter_map(|one| one["logical"].as_str()).collect();
    assert_eq!(changed, ["Release", "HttpStage"], "{plan}");
    let now = status(&account);
    assert_eq!((&now["version"], &now["between"]), (&less.object("deployed")["version"], &Value::from(false)));
    let again = said(&mut deploy_command(&account, PLAIN, &["--env", "throttled"])).ends(0);
    assert_eq!(again.object("deployed")["changed"], false, "{}", again.err);
}

/// Whatever was begun is completed by the next run, wherever it was killed: one after the other, of versions that take turns.
fn killed_at(account: &Account, env: &[&str], all: &[&str], marks: &[&str]) {
    for (at, mark) in marks.iter().enumerate() {
        let features = ["more", PLAIN][at % 2];
        account.kill_at(deploy_command(account, features, env), mark);
        let done = said(&mut deploy_command(account, features, env)).ends(0);
        let now = said(account.command(&["status"]).args(env)).ends(0).object("status");
        let whole = (&done.object("deployed")["version"], &Value::from(false));
        assert_eq!((&now["version"], &now["between"]), whole, "{mark}");
        assert_eq!(stacks(account), all);
        Api::of(account, &done).keeps(&at.to_string());
        // What was kept before is kept.
        let api = Api::of(account, &done);
        (0..at).for_each(|before| assert_eq!(api.ask("GET", &format!("/notes/{before}"), None).text(), "kept"));
    }
}

#[test]
fn a_run_that_was_killed_among_stacks_is_completed() {
    let Some(account) = Account::new() else { return };
    let marks = ["Stack deployed", "Stack deployed-deployed", "Stack deployed-deployed-kept", "Release"];
    killed_at(&account, &PARTS, &ALL, &marks);
    // On the way back to one stack, too.
    account.kill_at(account.deploy_command(PLAIN, &["--yes"]), "Stack deployed-deployed");
    let single = account.deploy(PLAIN, &["--yes"]).ends(0);
    assert_eq!(stacks(&account), ALL[..1]);
    Api::of(&account, &single).keeps("single");
}

#[test]
fn a_run_that_was_killed_among_what_modules_keep_is_completed() {
    let Some(account) = Account::new() else { return };
    let marks = [
        "Stack deployed\n",
        "Stack deployed-deployed--data",
        "InboxQueue",
        "Stack deployed-deployed\n",
        "Mapping",
        "Release",
    ];
    killed_at(&account, &["--env", "data"], &DATA, &marks);
}

/// A part of another version than the main stack's, as a run leaves it that ended early, is seen, and put right by any other.
#[test]
fn a_part_of_another_version_is_seen() {
    let Some(account) = Account::new() else { return };
    let kept = || account.ask("DescribeStacks", "&StackName=deployed-deployed-kept");
    let code = || {
        let (_, code) =
            kept().split_once("<ParameterKey>CodeKey</ParameterKey>").map(|(a, b)| (a.len(), b.to_owned())).unwrap();
        code.split_once("<ParameterValue>").unwrap().1.split('<').next().unwrap().to_owned()
    };
    said(&mut deploy_command(&account, "more", &PARTS)).ends(0);
    let more = code();
    let live = said(&mut deploy_command(&account, PLAIN, &PARTS)).ends(0).object("deployed");
    let template = std::fs::read(zip_for("more", &PARTS).with_file_name("stacks/deployed-kept.json")).unwrap();
    let asked: Value = serde_json::from_slice(&template).unwrap();
    let template: String = template.iter().map(|byte| format!("%{byte:02x}")).collect();
    let parameters = asked["Parameters"].as_object().unwrap().keys().enumerate().map(|(at, name)| {
        let parameter = format!("&Parameters.member.{}", at + 1);
        // Nothing but what functions name is new in this part.
        let value =
            if name == "CodeKey" { format!("ParameterValue={more}") } else { "UsePreviousValue=true".to_owned() };
        format!("{parameter}.ParameterKey={name}{parameter}.{value}")
    });
    let turn = format!("&StackName=deployed-deployed-kept&TemplateBody={template}{}", parameters.collect::<String>());
    let at_rest = || {
        while kept().contains("_IN_PROGRESS") {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    for command in [&["rollback", "--yes"][..], &["deploy", "--yes"]] {
        account.kill_at(deploy_command(&account, "more", &PARTS), "Stack deployed-deployed");
        at_rest();
        if code() != more {
            account.ask("UpdateStack", &turn);
            at_rest();
        }
        let now = status(&account);
        assert_eq!((&now["version"], &now["between"]), (&live["version"], &Value::from(true)), "{now}");
        // Going back from what nobody brought to its end leads to what was live, as often as it takes.
        if command[0] == "rollback" {
            let mut back = account.command(command);
            back.args(PARTS);
            account.kill_at(back, "Stack deployed-deployed");
        }
        let mut command = account.command(command);
        if command.get_args().any(|argument| argument == "deploy") {
            command.arg("--code").arg(updraft_tests::deploying::zip(PLAIN));
        }
        said(command.args(PARTS)).ends(0);
        let now = status(&account);
        assert_eq!((&now["version"], &now["between"]), (&live["version"], &Value::from(false)), "{now}");
    }
}

/// Parts whose main stack is gone name what there is no more: functions are made anew with it, what modules
/// keep stays, and all are removed without it.
#[test]
fn parts_without_their_main_stack_are_found() {
    let Some(account) = Account::new() else { return };
    let env = ["--env", "data"];
    let gone = || {
        account.ask("DeleteStack", "&StackName=deployed");
        while stacks(&account) != DATA[1..] {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let first = said(&mut deploy_command(&account, PLAIN, &env)).ends(0);
    Api::of(&account, &first).keeps("first");
    gone();
    let again = said(&mut deploy_command(&account, PLAIN, &env)).ends(0);
    assert_eq!(stacks(&account), DATA);
    let api = Api::of(&account, &again);
    api.keeps("second");
    assert_eq!(api.ask("GET", "/notes/first", None).text(), "kept");

    gone();
    let removed = said(account.command(&["remove", "--yes"]).args(env)).ends(0).object("removed");
    assert!(removed["kept"].as_array().unwrap().iter().any(|kept| kept["kind"] == "AWS::DynamoDB::Table"), "{removed}");
    assert_eq!(stacks(&account), [""; 0]);
}

/// Whoever has the rights that `ci` writes down, and no others, can do all that there is to do.
#[test]
fn the_rights_of_a_pipeline_are_enough_for_parts() {
    let (Some(account), Some(guarded)) = (Account::new(), aws::Account::open()) else { return };
    let folder = zip_for("more", &PARTS);
    let read = |name: &str| std::fs::read(folder.with_file_name(name)).unwrap();
    let part = |name: &'static str| (name, read(&format!("stacks/{name}.json")));
    let parts = [part("deployed"), part("deployed-kept")];
    let variables = pipeline(&guarded, &read("template.json"), &parts);
    let run = |mut command: Command| said(command.envs(variables.clone()));
    run(deploy_command(&account, "more", &PARTS)).ends(0);
    run(deploy_command(&account, PLAIN, &PARTS)).ends(0);
    let with = |command: &[&str]| {
        let mut command = account.command(command);
        command.args(PARTS);
        command
    };
    run(with(&["rollback", "--yes"])).ends(0);
    let status = run(with(&["status", "--drift"])).ends(0).object("status");
    assert_eq!(status["parts"].as_array().unwrap().len(), 2, "{status}");
    run(with(&["remove", "--yes"])).ends(0);
}

/// A version's role knows its own parts; those that go with it are there, whatever they are called.
#[test]
fn the_rights_of_a_pipeline_are_enough_for_parts_that_go() {
    let (Some(account), Some(guarded)) = (Account::new(), aws::Account::open()) else { return };
    said(deploy_command(&account, PLAIN, &PARTS).envs(guarded.variables())).ends(0);
    let single = std::fs::read(zip_for(PLAIN, &[]).with_file_name("template.json")).unwrap();
    let variables = pipeline(&guarded, &single, &[]);
    said(account.deploy_command(PLAIN, &["--yes"]).envs(variables)).ends(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let there = runtime.block_on(guarded.query("cloudformation", "2010-05-15", "DescribeStacks", &[]));
    assert_eq!(aws::between(&there, "StackName").collect::<Vec<_>>(), ["deployed"], "{there}");
}

/// A stack of another application's that has a part's name is left alone.
#[test]
fn what_is_in_a_parts_place_is_left_alone() {
    let Some(account) = Account::new() else { return };
    // As an environment called like the part would.
    account.deploy(PLAIN, &["--yes", "--stack", "deployed-deployed"]).ends(0);
    let refused = said(&mut deploy_command(&account, PLAIN, &PARTS)).ends(2);
    assert!(refused.err.contains("a stack deployed-deployed, which is no part"), "{}", refused.err);
    assert!(refused.err.contains("was left as it is"), "{}", refused.err);
    assert_eq!(stacks(&account), ["deployed-deployed"]);
    let long = "a".repeat(33);
    let refused = said(&mut deploy_command(&account, PLAIN, &["--env", "parts", "--stack", &long])).ends(2);
    assert!(refused.err.contains("too long") && refused.err.contains("Nothing was changed"), "{}", refused.err);
}
