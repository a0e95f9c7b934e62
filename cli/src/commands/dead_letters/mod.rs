//! `cargo updraft dead-letters`: messages that were given up, with their reasons; and what becomes of them. On this machine
//! through the program's socket, in a cluster through a job of what is deployed there, on AWS as queues of SQS.

mod cluster;
mod queues;

use super::check;
use crate::args::Global;
use crate::aws;
use crate::dev;
use crate::dev::control::{Answer, Kind, Request};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

/// Shows the messages that were given up, delivers them again or drops them
#[derive(Debug, clap::Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    action: Action,
    /// Those of what this target was deployed to, instead of this machine's
    #[arg(short, long, global = true, value_name = "TARGET")]
    target: Option<Deployed>,
    /// Of aws-lambda: the stack's name, as `deploy` has it
    #[arg(long, global = true, value_name = "NAME", value_parser = aws::stack_name)]
    stack: Option<String>,
}

/// Where dead letters are kept of what is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Deployed {
    /// Knative Serving and Eventing: a job looks after them
    Knative,
    /// AWS Lambda: queues of SQS, which hide for up to five minutes from others what is looked at
    AwsLambda,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them, a page at a time: id, handler, kind, time, reason
    List(List),
    /// Shows all that is kept of one, as JSON
    Show(One),
    /// Delivers them again, each to the handler that gave it up alone; one goes once its message is handled or waits again
    Redrive(Chosen),
    /// Forgets them
    Drop(Chosen),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// How many, 1000 at most [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Where to go on: what the last page said
    #[arg(long, value_name = "KEY")]
    from: Option<String>,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The message's id
    id: String,
    /// The handler that gave it up, where several did
    #[arg(long)]
    handler: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// The message's id
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Every one, or every one that the other options leave
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Clone, Debug, clap::Args)]
struct Filter {
    /// Those of this handler
    #[arg(long)]
    handler: Option<String>,
    /// Those of this queue or topic
    #[arg(long)]
    resource: Option<String>,
    /// Those given up at least so long ago: `90s`, `15m`, `2h`, `7d`
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    older_than: Option<u64>,
    /// Those given up at most so long ago
    #[arg(long, value_name = "AGE", value_parser = seconds)]
    newer_than: Option<u64>,
}

/// What the program is asked: the words of the runtime's `selection`.
#[derive(Clone, Debug, Default, Serialize)]
struct Ask {
    r#do: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    older_than: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newer_than: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

impl Action {
    fn ask(&self) -> Ask {
        let of = |r#do, filter: &Filter| Ask {
            r#do,
            handler: filter.handler.clone(),
            resource: filter.resource.clone(),
            older_than: filter.older_than,
            newer_than: filter.newer_than,
            ..Ask::default()
        };
        match self {
            Action::List(list) => Ask { limit: list.limit, from: list.from.clone(), ..of("list", &list.filter) },
            Action::Show(one) => {
                Ask { r#do: "show", id: Some(one.id.clone()), handler: one.handler.clone(), ..Ask::default() }
            }
            Action::Redrive(chosen) => Ask { id: chosen.id.clone(), ..of("redrive", &chosen.filter) },
            Action::Drop(chosen) => Ask { id: chosen.id.clone(), ..of("drop", &chosen.filter) },
        }
    }
}

pub(crate) fn run(command: &DeadLetters, global: &Global, reporter: &Reporter) -> Result {
    let (action, stack) = (&command.action, command.stack.as_deref());
    if stack.is_some() && command.target != Some(Deployed::AwsLambda) {
        return Err(Failure::Usage("--stack is of --target aws-lambda".to_owned()));
    }
    let look = || -> Result<_> {
        let project = dev::project(global)?;
        let checked = check::check_quietly(&project, global, reporter)?;
        Ok((project, checked))
    };
    match command.target {
        Some(Deployed::AwsLambda) => queues::with_stack(stack, global, reporter, |put| act(action, reporter, put)),
        Some(Deployed::Knative) => {
            let (_, checked) = look()?;
            cluster::with_job(&checked, global, &action.ask(), reporter, |put| act(action, reporter, put))
        }
        None => {
            let (project, checked) = look()?;
            dev::with_program(project, checked, global, reporter, |ask| {
                let put = |command: &Ask| {
                    let command = serde_json::to_value(command).unwrap_or_default();
                    match ask(&Request::DeadLetters { command })? {
                        Answer::Ok { ok } => Ok(ok),
                        Answer::Error { error, kind: Kind::Usage } => Err(Failure::Usage(error)),
                        Answer::Error { error, kind: Kind::Failed } => Err(Failure::Outside(error)),
                    }
                };
                act(action, reporter, &put)
            })
        }
    }
}

/// Asks, page by page where it is to be all of them, and shows the answers.
fn act(action: &Action, reporter: &Reporter, put: &dyn Fn(&Ask) -> Result<Value>) -> Result {
    let mut ask = action.ask();
    match action {
        Action::List(_) => {
            let page = put(&ask)?;
            if reporter.json() {
                reporter.result(&page.to_string());
                return Ok(());
            }
            let letters = page["letters"].as_array().map(Vec::as_slice).unwrap_or_default();
            letters.iter().for_each(|letter| reporter.result(&line(letter)));
            if letters.is_empty() {
                reporter.status("Listed", &"0 letters");
            }
            if let Some(next) = page["next"].as_str() {
                reporter.status("More", &format_args!("with --from '{next}'"));
            }
            tell_unseen(page["unseen"].as_u64(), reporter);
            Ok(())
        }
        Action::Show(_) => {
            let letter = put(&ask)?;
            reporter.result(&if reporter.json() { letter.to_string() } else { format!("{letter:#}") });
            Ok(())
        }
        Action::Redrive(_) | Action::Drop(_) => {
            let (mut done, mut passed, mut failed) = (0, 0, Vec::new());
            let unseen = loop {
                let page = put(&ask)?;
                done += page["done"].as_u64().unwrap_or_default();
                passed += page["passed"].as_u64().unwrap_or_default();
                failed.extend(page["failed"].as_array().into_iter().flatten().cloned());
                match page["next"].as_str() {
                    Some(next) => ask.from = Some(next.to_owned()),
                    None => break page["unseen"].as_u64(),
                }
            };
            tell_unseen(unseen, reporter);
            report(action, reporter, ask.id.as_deref(), (done, passed), &failed)
        }
    }
}

fn report(
    action: &Action,
    reporter: &Reporter,
    id: Option<&str>,
    (done, passed): (u64, u64),
    failed: &[Value],
) -> Result {
    if reporter.json() {
        let mut said = json!({ "done": done, "failed": failed });
        if passed > 0 {
            said["passed"] = passed.into();
        }
        reporter.result(&said.to_string());
    } else {
        for letter in failed {
            reporter.result(&["id", "handler", "reason"].map(|name| field(letter, name)).join("  "));
        }
        let verb = if matches!(action, Action::Redrive(_)) { "Redriven" } else { "Dropped" };
        // Of one that there is not, that alone is said.
        if done > 0 || !failed.is_empty() || id.is_none() {
            reporter.status(verb, &letters(done));
        }
        if passed > 0 {
            reporter
                .status("Passed", &format_args!("over {}: redriven by this run, and given up again", letters(passed)));
        }
    }
    match (failed.len(), id) {
        (0, Some(id)) if done == 0 => Err(Failure::Usage(no_such(id))),
        (0, _) => Ok(()),
        (count, _) => Err(Failure::Failed(format!("{count} of {} stay", done + count as u64))),
    }
}

fn letters(count: u64) -> String {
    format!("{count} {}", if count == 1 { "letter" } else { "letters" })
}

/// What a queue that keeps order did not show.
fn tell_unseen(letters: Option<u64>, reporter: &Reporter) {
    if let Some(letters) = letters.filter(|_| !reporter.json()) {
        let why = "of a group of a FIFO queue SQS shows ten, and those behind them once they are gone";
        reporter.status("Unseen", &format_args!("about {letters} letters: {why}"));
    }
}

fn no_such(id: &str) -> String {
    format!("no dead letter has the id {id}; `dead-letters list` shows all")
}

fn field<'a>(letter: &'a Value, name: &str) -> &'a str {
    letter[name].as_str().unwrap_or_default()
}

fn line(letter: &Value) -> String {
    ["id", "handler", "kind", "last", "reason"].map(|name| field(letter, name).replace('\n', " ")).join("  ")
}

/// `90s`, `15m`, `2h`, `7d`.
fn seconds(text: &str) -> std::result::Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("a whole number and a unit, s, m, h or d: `15m`".to_owned()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    seconds.ok_or_else(|| "no number of seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::commands::Command;
    use clap::Parser;

    fn parse(arguments: &[&str]) -> std::result::Result<DeadLetters, String> {
        let arguments = ["cargo-updraft", "dead-letters"].iter().chain(arguments);
        match Cli::try_parse_from(arguments).map_err(|error| error.to_string())?.command {
            Command::DeadLetters(command) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_words_are_those_of_the_runtime() {
        let ask = |arguments: &[&str]| serde_json::to_value(parse(arguments).unwrap().action.ask()).unwrap();
        assert_eq!(ask(&["list"]), json!({"do": "list"}));
        assert_eq!(
            ask(&["list", "--handler", "a::b", "--older-than", "2h", "--limit", "5", "--from", "k"]),
            json!({"do": "list", "handler": "a::b", "older_than": 7200, "limit": 5, "from": "k"})
        );
        assert_eq!(ask(&["show", "1", "--handler", "a"]), json!({"do": "show", "id": "1", "handler": "a"}));
        assert_eq!(ask(&["redrive", "1"]), json!({"do": "redrive", "id": "1"}));
        assert_eq!(
            ask(&["drop", "--all", "--resource", "orders", "--newer-than", "90s"]),
            json!({"do": "drop", "resource": "orders", "newer_than": 90})
        );
        let knative = parse(&["redrive", "--all", "--target", "knative"]).unwrap();
        assert_eq!(knative.target, Some(Deployed::Knative));
        let lambda = parse(&["list", "--target", "aws-lambda", "--stack", "shop-eu"]).unwrap();
        assert_eq!((lambda.target, lambda.stack.as_deref()), (Some(Deployed::AwsLambda), Some("shop-eu")));
    }

    #[test]
    fn all_is_never_meant_by_silence() {
        for wrong in [&["redrive"][..], &["drop"], &["drop", "--handler", "a"], &["drop", "1", "--all"], &["show"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&["list", "--older-than", "2y"]).unwrap_err().contains("a whole number and a unit"));
    }
}
