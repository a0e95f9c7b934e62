//! `deploy` and its kin, through the command itself, against MiniStack's CloudFormation.
//!
//! What is deployed is `tests/deployed`, whose features are what changes between two versions. Its program is linked as tests
//! are, so that a test takes seconds, and handed over by `--code`, which proves it as any other.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

#[path = "deploy/images.rs"]
mod images;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use updraft_tests::aws;
use updraft_tests::cargo::{updraft, workspace};
use updraft_tests::deploying::{Account, PLAIN, REGION, Said, pipeline, said, zip, zip_for};

#[test]
fn what_is_deployed_is_deployed_once() {
    let Some(account) = Account::new() else { return };
    let before = account.diff(PLAIN).ends(0);
    assert!(before.object("plan")["resources"].as_array().unwrap().iter().all(|resource| resource["fate"] == "create"));
    account.run(&["status"]).ends(2); // and there is still no stack

    let first = account.deploy(PLAIN, &["--yes"]).ends(0);
    let deployed = first.object("deployed");
    assert!(deployed["changed"] == true && deployed["outputs"]["ApiUrl"].is_string(), "{deployed}");
    assert!(first.err.contains("Made the code bucket updraft-"), "{}", first.err);

    let again = account.deploy(PLAIN, &["--yes"]).ends(0);
    let same = again.object("deployed");
    assert_eq!((&same["changed"], &same["version"]), (&Value::from(false), &deployed["version"]));
    assert!(!again.err.contains("Uploaded") && !again.err.contains("Made"), "{}", again.err);

    let before = account.diff("more").ends(0).object("plan");
    assert_eq!(account.version(), deployed["version"], "a diff changes nothing");
    let more = account.deploy("more", &["--yes"]).ends(0);
    assert_eq!(more.object("plan"), before);
    assert_eq!(before["graph"][0]["id"], "deployed::kept::health", "{before}");
    assert_eq!((&before["graph"].as_array().unwrap().len(), &before["dangers"]), (&1, &json!([])));
    assert_eq!(account.version(), more.object("deployed")["version"]);
    assert_ne!(account.version(), deployed["version"]);
}

#[test]
fn nothing_is_done_that_nobody_agreed_to() {
    let Some(account) = Account::new() else { return };
    let refused = account.deploy(PLAIN, &[]).ends(2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    account.run(&["remove"]).ends(2);
    account.deploy(PLAIN, &["--yes"]).ends(0);
    let live = account.version();
    for (features, danger) in [("partitioned", "replaced"), ("renamed", "lost"), ("fewer", "deleted")] {
        let refused = account.deploy(features, &["--yes"]).ends(1);
        assert_eq!(refused.codes(), ["UD2102"], "{features}: {}", refused.out);
        assert_eq!(refused.object("plan")["dangers"][0]["danger"], danger);
        assert_eq!(account.version(), live);
    }
    account.deploy("partitioned", &["--yes", "--allow-replacement"]).ends(0);
    assert_ne!(account.version(), live);
}

/// Something is in the way of a resource that an update makes.
#[test]
fn an_update_that_fails_leaves_what_there_was() {
    let Some(account) = Account::new() else { return };
    account.deploy(PLAIN, &["--yes"]).ends(0);
    let live = account.version();
    let id = account.ask("DescribeStacks", "&StackName=deployed");
    let (_, id) = id.split_once("<StackId>").unwrap();
    let (id, _) = id.split_once('<').unwrap();
    account.make_bucket(&format!("deployed-album-{}", id.rsplit('-').next().unwrap()));

    let failed = account.deploy("album", &["--yes"]).ends(1);
    assert_eq!(failed.codes(), ["UD2101"], "{}", failed.out);
    let diagnostic = failed.out.lines().find(|line| line.contains("UD2101")).unwrap();
    let diagnostic: Value = serde_json::from_str(diagnostic).unwrap();
    assert!(diagnostic["message"].as_str().unwrap().contains("of bucket album: "), "{diagnostic}");
    assert_eq!(diagnostic["labels"][0]["file"], "tests/deployed/src/main.rs");
    assert!(
        diagnostic["help"].as_str().unwrap().starts_with("the stack deployed is what it was before"),
        "{diagnostic}"
    );

    let status = account.run(&["status"]).ends(0).object("status");
    assert_eq!((&status["version"], &status["status"]), (&live, &Value::from("UPDATE_ROLLBACK_COMPLETE")));
    let reason = status["versions"][0]["outcome"]["failed"].as_str();
    assert!(reason.is_some_and(|reason| reason.starts_with("AlbumBucket: ")), "{status}");
    assert_eq!(account.deploy(PLAIN, &["--yes"]).ends(0).object("deployed")["changed"], false);
    account.deploy("more", &["--yes"]).ends(0);
}

#[test]
fn any_earlier_version_goes_live_again() {
    let Some(account) = Account::new() else { return };
    account.run(&["rollback", "--yes"]).ends(2); // there is no stack
    account.deploy(PLAIN, &["--yes"]).ends(0);
    let first = account.version();
    let alone = account.run(&["rollback", "--yes"]).ends(2);
    assert!(alone.err.contains("no earlier version"), "{}", alone.err);
    account.deploy("more", &["--yes"]).ends(0);
    let second = account.version();

    let back = account.run(&["rollback", "--yes"]).ends(0);
    assert_eq!(back.object("plan")["graph"][0]["turn"], "went");
    let said = format!("Rolled back deployed to version {}", first.as_str().unwrap());
    assert!(back.err.contains(&said), "{}", back.err);
    assert_eq!(account.version(), first);
    account.run(&["rollback", &second.as_str().unwrap()[..8], "--yes"]).ends(0);
    assert_eq!(account.version(), second);
    account.run(&["rollback", "nothing", "--yes"]).ends(2);
    account.run(&["rollback", first.as_str().unwrap()]).ends(2); // nobody agreed
    assert_eq!(account.version(), second);

    // What would leave data behind is refused as in a deployment.
    account.deploy("renamed", &["--yes", "--allow-replacement"]).ends(0);
    assert_eq!(account.run(&["rollback", "--yes"]).ends(1).codes(), ["UD2102"]);
    let drift = account.run(&["status", "--drift"]).ends(0).object("status");
    let by: Vec<&str> = drift["versions"].as_array().unwrap().iter().map(|one| one["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["deploy", "rollback", "rollback", "deploy", "deploy"]);
    assert_eq!(drift["drift"], json!([]), "MiniStack detects drift");
}

/// CloudFormation completes what nobody waits for any more: it was live, and is what is gone back to.
#[test]
fn a_version_that_nobody_saw_go_live_is_gone_back_to() {
    let Some(account) = Account::new() else { return };
    account.deploy(PLAIN, &["--yes"]).ends(0);
    account.kill_at(account.deploy_command("more", &["--yes"]), "\"event\"");
    account.deploy("album", &["--yes"]).ends(0);
    let status = account.run(&["status"]).ends(0).object("status");
    let versions: Vec<&Value> = status["versions"].as_array().unwrap().iter().collect();
    assert_eq!((versions.len(), &versions[1]["outcome"]), (3, &Value::from("deployed")), "{status}");
    account.run(&["rollback", "--yes"]).ends(0);
    assert_eq!(account.version(), versions[1]["version"], "{status}");
}

/// Killed wherever it says something, the next run completes it.
#[test]
fn a_run_that_was_killed_is_completed_by_the_next() {
    let Some(account) = Account::new() else { return };
    for (at, mark) in ["Made", "Uploaded code", "Uploaded template", "\"plan\"", "\"event\""].into_iter().enumerate() {
        let stack = format!("killed-{at}");
        account.kill_at(account.deploy_command(PLAIN, &["--yes", "--stack", &stack]), mark);
        account.deploy(PLAIN, &["--yes", "--stack", &stack]).ends(0);
        account.kill_at(account.deploy_command("more", &["--yes", "--stack", &stack]), mark);
        let deployed = account.deploy("more", &["--yes", "--stack", &stack]).ends(0).object("deployed");
        let status = account.run(&["status", "--stack", &stack]).ends(0).object("status");
        assert_eq!(status["version"], deployed["version"], "{mark}");
        let live: Vec<&Value> =
            status["versions"].as_array().unwrap().iter().filter(|version| version["live"] == true).collect();
        assert_eq!((live.len(), &live[0]["outcome"]), (1, &Value::from("deployed")), "{mark}: {status}");
        assert!(!account.ask("ListChangeSets", &format!("&StackName={stack}")).contains("REVIEW"), "{mark}");
        account.kill_at(account.command(&["remove", "--yes", "--stack", &stack]), mark);
        account.run(&["remove", "--yes", "--stack", &stack]).ends(0);
        account.run(&["status", "--stack", &stack]).ends(2);
    }
}

/// A stack whose first deployment failed can't be updated: it is made anew.
#[test]
fn what_a_first_deployment_left_that_failed_is_cleared() {
    let Some(account) = Account::new() else { return };
    account.make_bucket("taken");
    account.create_stack("AWS::S3::Bucket", json!({ "BucketName": "taken" }), Some("deployed"), "ROLLBACK_COMPLETE");
    let deployed = account.deploy(PLAIN, &["--yes"]).ends(0);
    assert!(deployed.err.contains("Clearing"), "{}", deployed.err);
    assert_eq!(account.run(&["status"]).ends(0).object("status")["status"], "CREATE_COMPLETE");
}

/// What could not even go back may hold data, and a rollback makes nothing anew.
#[test]
fn what_a_first_deployment_left_with_data_in_it_is_asked_about() {
    let Some(account) = Account::new() else { return };
    let on = |mut command: Command, cloud: &str| said(command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", cloud));
    for status in ["CREATE_FAILED", "ROLLBACK_FAILED"] {
        let left = || played(if status == "CREATE_FAILED" { &["CREATE_FAILED"] } else { &["ROLLBACK_FAILED"] }, &[]);
        let refused = on(account.deploy_command(PLAIN, &["--yes"]), &left()).ends(3);
        assert!(refused.err.contains("AWS::DynamoDB::Table deployed-stock"), "{}", refused.err);
        assert!(
            refused.err.contains("--allow-replacement") && refused.err.contains("Nothing was changed"),
            "{}",
            refused.err
        );
        let nothing = on(account.command(&["rollback", "--yes"]), &left()).ends(3);
        assert!(nothing.err.contains("no version to go back to"), "{}", nothing.err);
    }
}

#[test]
fn what_holds_data_stays_when_the_rest_goes() {
    let Some(account) = Account::new() else { return };
    account.deploy(PLAIN, &["--yes"]).ends(0);
    let removed = account.run(&["remove", "--yes"]).ends(0).object("removed");
    let kept = removed["kept"].as_array().unwrap();
    let of = |kind: &str| kept.iter().find(|kept| kept["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {removed}"));
    for kind in ["AWS::SQS::Queue", "AWS::SecretsManager::Secret", "AWS::DynamoDB::Table"] {
        assert_eq!(of(kind)["stays"], true);
    }
    let table = of("AWS::DynamoDB::Table")["physical"].as_str().unwrap();
    assert!(account.describe_table(table).contains("ACTIVE"), "{table}");
    let absent = account.run(&["remove", "--yes"]).ends(0);
    assert!(absent.err.contains("Absent"), "{}", absent.err);
    account.run(&["status"]).ends(2);
}

/// A parameter is none of the stack's: it is missing until somebody gives it a value, and stays.
#[test]
fn secrets_may_be_parameters() {
    let Some(account) = Account::new() else { return };
    let env = ["--env", "parameters"];
    let mut deploy = account.command(&["deploy", "--yes"]);
    let zip = zip_for(PLAIN, &env);
    let deployed = said(deploy.args(env).arg("--code").arg(&zip)).ends(0).object("deployed");
    let (name, arn) = ("/updraft/deployed-parameters/PasswordSecret", &deployed["empty_secrets"][0]);
    assert_eq!(*arn, format!("arn:aws:ssm:{REGION}:000000000000:parameter{name}"), "{deployed}");
    let status = || said(account.command(&["status"]).args(env)).ends(0).object("status")["empty_secrets"].clone();
    let said_how = status()[0]["command"].as_str().unwrap().to_owned();
    assert!(said_how.starts_with("aws ssm put-parameter --type SecureString "), "{said_how}");
    assert!(said_how.contains(&format!("--name {name} ")), "{said_how}");
    let put = |name: &str, value: &str| {
        let headers = [("x-amz-target", "AmazonSSM.PutParameter"), ("content-type", "application/x-amz-json-1.1")];
        let content = json!({ "Name": name, "Value": value, "Type": "SecureString" });
        account.send("POST", "", "ssm", &headers, content.to_string());
    };
    // More than a page of the stack's, and another's: the one that counts is the last.
    for number in 0..60 {
        put(&format!("/updraft/deployed-parameters/Another{number}"), "x");
    }
    put("/updraft/deployed/PasswordSecret", "x");
    assert_eq!(status().as_array().map(Vec::len), Some(1));
    put(name, "x");
    assert_eq!(status(), json!([]));
    let removed = said(account.command(&["remove", "--yes"]).args(env)).ends(0).object("removed");
    let kept = removed["kept"].as_array().unwrap();
    let parameter =
        kept.iter().find(|kept| kept["kind"] == "AWS::SSM::Parameter").unwrap_or_else(|| panic!("{removed}"));
    assert_eq!((&parameter["physical"], &parameter["from"]), (&name.into(), &json!(["secret password"])));
}

#[test]
fn what_is_someone_elses_is_left_alone() {
    let Some(account) = Account::new() else { return };
    account.create_stack("AWS::SQS::Queue", json!({}), None, "CREATE_COMPLETE");
    for command in [&["remove", "--yes"][..], &["status"], &["rollback", "--yes"]] {
        let refused = account.run(command).ends(2);
        assert!(refused.err.contains("Updraft did not make") && refused.err.contains("--adopt"), "{}", refused.err);
    }
    account.deploy(PLAIN, &["--yes"]).ends(2);
    // Adopted, it is still asked about what would go.
    assert_eq!(account.deploy(PLAIN, &["--yes", "--adopt"]).ends(1).codes(), ["UD2102"]);
    account.deploy(PLAIN, &["--yes", "--adopt", "--allow-replacement"]).ends(0);
    account.run(&["status"]).ends(0);

    // S3 tells a stranger's bucket from one that may not be used as little as it tells who owns it.
    let closed = closed();
    let refused =
        said(account.deploy_command(PLAIN, &["--yes", "--stack", "other"]).env("AWS_ENDPOINT_URL_S3", closed));
    let refused = refused.ends(3);
    assert!(refused.err.contains("is not this account's, or not for you"), "{}", refused.err);
    assert!(refused.err.contains("code_bucket") && refused.err.contains("Nothing was changed"), "{}", refused.err);
    account.run(&["status", "--stack", "other"]).ends(2);
}

/// Whoever has the rights that `ci` writes down, and no others, can do all that there is to do with the stack: and nothing
/// with another.
#[test]
fn the_rights_of_a_pipeline_are_enough() {
    let (Some(account), Some(guarded)) = (Account::new(), aws::Account::open()) else { return };
    let template = std::fs::read(zip(PLAIN).with_file_name("template.json")).unwrap();
    let variables = pipeline(&guarded, &template, &[]);
    let run = |mut command: Command| said(command.envs(variables.clone()));
    run(account.deploy_command(PLAIN, &["--yes"])).ends(0);
    run(account.deploy_command("more", &["--yes"])).ends(0);
    assert_eq!(run(account.deploy_command("partitioned", &["--yes"])).ends(1).codes(), ["UD2102"]);
    run(account.command(&["rollback", "--yes"])).ends(0);
    let status = run(account.command(&["status", "--drift"])).ends(0).object("status");
    assert!(status["empty_secrets"].is_array(), "{status}");
    let other = run(account.deploy_command(PLAIN, &["--yes", "--stack", "other"])).ends(3);
    assert!(other.err.contains("AWS does not let you cloudformation:DescribeStacks"), "{}", other.err);
    run(account.command(&["remove", "--yes"])).ends(0);
}

#[test]
fn who_may_not_is_told_what_to_do() {
    let Some(account) = Account::new() else { return };
    let with = |name: &str, value: &str| said(account.deploy_command(PLAIN, &["--yes"]).env(name, value));
    let nobody = with("AWS_ACCESS_KEY_ID", "").ends(2);
    assert!(nobody.err.contains("no credentials") && nobody.err.contains("aws sso login"), "{}", nobody.err);
    let nowhere = with("AWS_REGION", "").ends(2);
    assert!(nowhere.err.contains("AWS_REGION"), "{}", nowhere.err);
    let deaf = with("AWS_ENDPOINT_URL", "http://127.0.0.1:9").ends(3);
    assert!(deaf.err.contains("can't be reached") && deaf.err.contains("Nothing was changed"), "{}", deaf.err);
    let wrong = account.run(&["status", "--stack", "no_name"]).ends(2);
    assert!(wrong.err.contains("a letter, then letters, digits"), "{}", wrong.err);
    // A zip of another source is none of this one's.
    let other = said(account.command(&["deploy", "--yes", "--features", "more"]).arg("--code").arg(zip(PLAIN)));
    assert_eq!(other.ends(1).codes(), ["UD0405"]);
    let text = said(account.command(&["deploy", "--yes"]).arg("--code").arg(workspace().join("Cargo.toml"))).ends(2);
    assert!(text.err.contains("none of `build`'s"), "{}", text.err);
}

/// A stack of ours in a state that MiniStack's own never get into, and what CloudFormation would do with it.
#[test]
fn a_stack_that_could_not_go_back_is_gone_on_with() {
    let Some(account) = Account::new() else { return };
    let stuck = || played(&["UPDATE_ROLLBACK_FAILED"], &["UPDATE_ROLLBACK_COMPLETE"]);
    let on = |mut command: Command, cloud: &str| said(command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", cloud));
    let refused = on(account.deploy_command(PLAIN, &["--yes"]), &stuck()).ends(3);
    assert!(
        refused.err.contains("UPDATE_ROLLBACK_FAILED") && refused.err.contains("updraft rollback"),
        "{}",
        refused.err
    );
    let restored = on(account.command(&["rollback", "--yes"]), &stuck()).ends(0);
    assert!(restored.err.contains("Restored"), "{}", restored.err);
    let again = played(&["UPDATE_ROLLBACK_FAILED"], &["UPDATE_ROLLBACK_FAILED"]);
    assert_eq!(on(account.command(&["rollback", "--yes"]), &again).ends(1).codes(), ["UD2101"]);
    let undeletable = played(&["DELETE_FAILED"], &["DELETE_FAILED"]);
    assert!(on(account.deploy_command(PLAIN, &["--yes"]), &undeletable).ends(3).err.contains("updraft remove"));
    // Who looks on is not put off by some seconds without an answer.
    let troubled = played(&["UPDATE_ROLLBACK_FAILED"], &["503", "UPDATE_ROLLBACK_COMPLETE"]);
    let restored = on(account.command(&["rollback", "--yes"]), &troubled).ends(0);
    assert!(restored.err.contains("for an answer") && restored.err.contains("Restored"), "{}", restored.err);
    let busy = played(&["UPDATE_IN_PROGRESS"], &[]);
    let diff = on(account.command(&["diff", "--code", zip(PLAIN).to_str().unwrap()]), &busy).ends(3);
    assert!(diff.err.contains("UPDATE_IN_PROGRESS"), "{}", diff.err);
}

/// Whoever stops waiting stops nothing else.
#[test]
fn an_interrupted_run_says_that_the_stack_goes_on() {
    let Some(account) = Account::new() else { return };
    let mut command = account.deploy_command(PLAIN, &["--yes"]);
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", played(&["UPDATE_IN_PROGRESS"], &[]));
    let log = account.home.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let text = || std::fs::read_to_string(&log).unwrap();
    while !text().contains("Waiting") {
        assert_eq!(child.try_wait().unwrap(), None, "{}", text());
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(3), "{}", text());
    assert!(text().contains("goes on with the stack") && text().contains("updraft status"), "{}", text());
}

/// Before anything is begun, too, and though something was waited for before.
#[test]
fn an_interruption_is_heard_wherever_it_comes() {
    let Some(account) = Account::new() else { return };
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    silent.set_nonblocking(true).unwrap();
    let mut command = account.deploy_command(PLAIN, &["--yes"]);
    command.env("AWS_ENDPOINT_URL_S3", format!("http://{}", silent.local_addr().unwrap()));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let held = loop {
        match silent.accept() {
            Ok(held) => break held,
            Err(_) => assert_eq!(child.try_wait().unwrap(), None),
        }
        std::thread::yield_now();
    };
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let said = child.wait_with_output().unwrap();
    drop(held);
    let text = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(3), "{text}");
    assert!(text.contains("before anything was begun") && text.contains("Nothing was changed"), "{text}");
}

/// A CloudFormation with one stack, which is in the first of these states until it is told to do something, and then in
/// the last of the others: after more answers of 503 than a request is repeated, if that is the first of them.
fn played(before: &'static [&'static str], after: &'static [&'static str]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut told = false;
        let mut trouble = if after.first() == Some(&"503") { 6 } else { 0 };
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let mut length = stream.read(&mut request).unwrap_or_default();
            // Head and body may come apart.
            while !String::from_utf8_lossy(&request[..length]).contains("Action=") {
                match stream.read(&mut request[length..]) {
                    Ok(more) if more > 0 => length += more,
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let action = request.split("Action=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
            if told && trouble > 0 {
                trouble -= 1;
                let none = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(none);
                continue;
            }
            let state = if told { after.last() } else { before.first() }.unwrap_or(&"");
            let event = |number: u32, status: &str| {
                format!(
                    "<member><EventId>{number}</EventId><LogicalResourceId>deployed</LogicalResourceId><PhysicalResourceId>arn:1\
                     </PhysicalResourceId><ResourceType>AWS::CloudFormation::Stack</ResourceType><ResourceStatus>{status}</ResourceStatus></member>"
                )
            };
            let content = match action {
                "DescribeStacks" => format!(
                    "<Stacks><member><StackId>arn:1</StackId><StackName>deployed</StackName><StackStatus>{state}</StackStatus><Tags>\
                     <member><Key>updraft:app</Key><Value>deployed</Value></member></Tags></member></Stacks>"
                ),
                "DescribeStackEvents" if told => {
                    let begun = event(1, "UPDATE_ROLLBACK_IN_PROGRESS");
                    format!("<StackEvents>{}{begun}{}</StackEvents>", event(2, state), event(0, "UPDATE_FAILED"))
                }
                "DescribeStackEvents" => format!("<StackEvents>{}</StackEvents>", event(0, "UPDATE_FAILED")),
                "ListStackResources" => "<StackResourceSummaries><member><LogicalResourceId>Stock</LogicalResourceId>\
                     <PhysicalResourceId>deployed-stock</PhysicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType>\
                     <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member></StackResourceSummaries>"
                    .to_owned(),
                "GetTemplate" => "<TemplateBody>{}</TemplateBody>".to_owned(),
                "ContinueUpdateRollback" | "DeleteStack" => {
                    told = true;
                    String::new()
                }
                _ => String::new(),
            };
            let answer = format!("<{action}Response><{action}Result>{content}</{action}Result></{action}Response>");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            let _ = stream.write_all((head + &answer).as_bytes());
        }
    });
    format!("http://{address}")
}

/// A server that lets nobody in, as long as the tests run.
fn closed() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    format!("http://{address}")
}
