//! A job of what is deployed, that looks after its dead letters: made of the CronJob that is there for it, so it has the
//! deployment's own image, binding and secrets. `kubectl` does it, with the rights of whoever runs this.

use super::Ask;
use crate::args::Global;
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use updraft_driver::Checked;
use updraft_knative::DeadLetterJob;

/// What the job reads its command from.
const VARIABLE: &str = "UPDRAFT_DEAD_LETTERS";
/// Between looks at the job.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a job may take: a little more than its own deadline.
const PATIENCE: Duration = Duration::from_secs(3_700);

/// Puts commands to jobs. Without `kubectl`, says how it is done by hand.
///
/// # Errors
/// The cluster's, and those of `act`.
pub(super) fn with_job(
    checked: &Checked,
    global: &Global,
    first: &Ask,
    reporter: &Reporter,
    act: impl FnOnce(&dyn Fn(&Ask) -> Result<Value>) -> Result,
) -> Result {
    let Some(job) = updraft_knative::dead_letter_job(&checked.app, &checked.settings) else {
        return Err(Failure::Usage("the application takes no messages, so it gives none up".to_owned()));
    };
    match Command::new("kubectl").args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => act(&|ask| put(&job, ask, reporter)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            reporter.result(&by_hand(&job, first));
            let env = global.env.as_deref().map(|env| format!(" of {env}")).unwrap_or_default();
            Err(Failure::Outside(format!(
                "there is no kubectl here: run the lines above where there is one that reaches the cluster{env}"
            )))
        }
        Err(error) => Err(Failure::Outside(format!("kubectl: {error}"))),
    }
}

/// One job, from its making to its end.
fn put(job: &DeadLetterJob, ask: &Ask, reporter: &Reporter) -> Result<Value> {
    let name = format!("{}-{}", job.cron_job, suffix());
    let namespace = job.namespace.as_str();
    let from = format!("cronjob/{}", job.cron_job);
    let dry = ["create", "job", &name, "--namespace", namespace, "--from", &from, "--dry-run=client", "--output=json"];
    let manifest = serde_json::from_str(&kubectl(&dry, None)?);
    let mut manifest: Value = manifest.map_err(|error| Failure::Outside(format!("kubectl wrote no JSON: {error}")))?;
    command(&mut manifest, ask)?;
    kubectl(&["create", "--namespace", namespace, "--filename=-"], Some(&manifest.to_string()))?;
    reporter.detail(&format_args!("the job {name} in {namespace}"));
    let outcome = ended(&name, namespace);
    let logs = kubectl(&["logs", "--namespace", namespace, &format!("job/{name}"), "--tail=-1"], None);
    // Left behind, it would go by itself in a day.
    let gone = kubectl(&["delete", "job", &name, "--namespace", namespace, "--wait=false"], None);
    if let Err(Failure::Outside(problem)) = gone {
        reporter.detail(&problem);
    }
    let logs = logs?;
    match answer(&logs) {
        Some(answer) => answer,
        None => {
            outcome?;
            Err(Failure::Outside(format!("the job {name} gave no answer:\n{logs}")))
        }
    }
}

/// Names the command in the job's environment.
fn command(manifest: &mut Value, ask: &Ask) -> Result {
    let text = serde_json::to_string(ask).map_err(|error| Failure::Outside(error.to_string()))?;
    let container = manifest.pointer_mut("/spec/template/spec/containers/0").and_then(Value::as_object_mut);
    let container = container.ok_or_else(|| Failure::Outside("the CronJob has no container".to_owned()))?;
    let variables = container.entry("env").or_insert_with(|| json!([]));
    let variables = variables.as_array_mut().ok_or_else(|| Failure::Outside("its `env` is no list".to_owned()))?;
    variables.retain(|variable| variable["name"] != VARIABLE);
    variables.push(json!({ "name": VARIABLE, "value": text }));
    Ok(())
}

/// Waits for the job's end, well or not: its log says more.
fn ended(name: &str, namespace: &str) -> Result {
    let started = Instant::now();
    loop {
        let text = kubectl(&["get", "job", name, "--namespace", namespace, "--output=json"], None)?;
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        let is = |kind: &str| {
            let conditions = state["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
        };
        if is("Complete") {
            return Ok(());
        }
        if is("Failed") {
            return Err(Failure::Outside(format!("the job {name} failed")));
        }
        if started.elapsed() > PATIENCE {
            return Err(Failure::Outside(format!("the job {name} does not end")));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The answer among the lines of a log.
fn answer(logs: &str) -> Option<Result<Value>> {
    let answers = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut answers = answers.filter_map(|mut line| line.get_mut("dead_letters").map(Value::take));
    let answer = answers.next()?;
    Some(match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(Failure::Outside(error.to_owned())),
        None => Ok(answer["ok"].clone()),
    })
}

fn kubectl(arguments: &[&str], input: Option<&str>) -> Result<String> {
    let said = |error: &dyn std::fmt::Display| Failure::Outside(format!("kubectl {}: {error}", arguments[0]));
    let mut child = Command::new("kubectl")
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| said(&error))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).map_err(|error| said(&error))?;
    }
    let output = child.wait_with_output().map_err(|error| said(&error))?;
    if !output.status.success() {
        return Err(said(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tells this job from others.
fn suffix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_millis(), std::process::id() & 0xfff)
}

/// The same with a shell, for one page.
fn by_hand(job: &DeadLetterJob, ask: &Ask) -> String {
    let DeadLetterJob { namespace, cron_job } = job;
    // A text in single quotes is itself, but for single quotes.
    let command = serde_json::to_string(ask).unwrap_or_default().replace('\'', r"'\''");
    let name = format!("{cron_job}-1");
    let patience = if ask.r#do == "redrive" { PATIENCE.as_secs() } else { 120 };
    format!(
        "kubectl create job {name} --namespace {namespace} --from cronjob/{cron_job} --dry-run=client --output=yaml \\\n  \
         | kubectl set env --local --filename=- --output=yaml '{VARIABLE}={command}' \\\n  \
         | kubectl create --namespace {namespace} --filename=-\n\
         kubectl wait --namespace {namespace} --for=condition=Complete --timeout={patience}s job/{name}\n\
         kubectl logs --namespace {namespace} job/{name} --tail=-1\n\
         kubectl delete job {name} --namespace {namespace}\n\
         # If the answer has a `next`, there is more: again, with \"from\": that text, in the command."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_among_the_logs_lines() {
        let logs =
            "{\"level\":\"INFO\",\"message\":\"reached\"}\nno JSON\n{\"dead_letters\":{\"ok\":{\"letters\":[]}}}\n";
        assert_eq!(answer(logs).unwrap().unwrap(), json!({"letters": []}));
        let failed = answer("{\"dead_letters\":{\"error\":\"there is no such dead letter\"}}").unwrap();
        assert!(matches!(failed, Err(Failure::Outside(error)) if error.contains("no such dead letter")));
        assert!(answer("{\"level\":\"INFO\"}\n").is_none());
    }

    #[test]
    fn the_command_replaces_the_one_that_is_there() {
        let mut manifest = json!({"spec": {"template": {"spec": {"containers": [{"env": [
            {"name": "UPDRAFT_UNIT", "value": "dead-letter"}, {"name": VARIABLE, "value": "{}"}]}]}}}});
        let ask = Ask { r#do: "show", id: Some("it's".into()), ..Ask::default() };
        command(&mut manifest, &ask).unwrap();
        let variables = manifest["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        assert_eq!(variables.len(), 2);
        assert_eq!(variables[1], json!({"name": VARIABLE, "value": r#"{"do":"show","id":"it's"}"#}));
        assert!(command(&mut json!({}), &ask).is_err());

        let job = DeadLetterJob { namespace: "shop".into(), cron_job: "dead-letters".into() };
        let text = by_hand(&job, &ask);
        assert!(text.contains(r#"'UPDRAFT_DEAD_LETTERS={"do":"show","id":"it'\''s"}'"#), "{text}");
    }
}
