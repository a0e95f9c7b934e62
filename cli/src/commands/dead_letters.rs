//! `cargo updraft dead-letters`: messages that this machine's program gave up, with their reasons; and what becomes of them.

use super::check;
use crate::args::Global;
use crate::dev;
use crate::dev::control::{Answer, Request};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use clap::Subcommand;
use serde_json::Value;

/// Shows the messages that were given up on this machine, delivers them again or drops them
#[derive(Debug, clap::Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them: id, handler, kind, time, reason
    List,
    /// Shows all that is kept of one, as JSON
    Show(One),
    /// Delivers one again, to the handler that gave it up alone
    Redrive(One),
    /// Forgets one
    Drop(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The message's id
    id: String,
    /// The handler that gave it up, where several did
    #[arg(long)]
    handler: Option<String>,
}

pub(crate) fn run(command: &DeadLetters, global: &Global, reporter: &Reporter) -> Result {
    let project = dev::project(global)?;
    let checked = check::check_quietly(&project, global, reporter)?;
    dev::with_program(project, checked, global, reporter, |ask| {
        let letters = done(ask(&Request::DeadLetters)?)?;
        let letters = letters.as_array().cloned().unwrap_or_default();
        match &command.action {
            Action::List if reporter.json() => reporter.result(&Value::Array(letters).to_string()),
            Action::List => letters.iter().for_each(|letter| reporter.result(&line(letter))),
            Action::Show(one) => reporter.result(&format!("{:#}", find(&letters, one)?)),
            Action::Redrive(one) => {
                let (handler, id) = key(find(&letters, one)?);
                done(ask(&Request::Redrive { handler: handler.clone(), id })?)?;
                reporter.status("Redriven", &format_args!("to {handler}"));
            }
            Action::Drop(one) => {
                let (handler, id) = key(find(&letters, one)?);
                done(ask(&Request::Drop { handler, id: id.clone() })?)?;
                reporter.status("Dropped", &id);
            }
        }
        Ok(())
    })
}

fn done(answer: Answer) -> Result<Value> {
    match answer {
        Answer::Ok { ok } => Ok(ok),
        Answer::Error { error, .. } => Err(Failure::Outside(error)),
    }
}

fn field<'a>(letter: &'a Value, name: &str) -> &'a str {
    letter[name].as_str().unwrap_or_default()
}

fn key(letter: &Value) -> (String, String) {
    (field(letter, "handler").to_owned(), field(letter, "id").to_owned())
}

fn line(letter: &Value) -> String {
    ["id", "handler", "kind", "last", "reason"].map(|name| field(letter, name)).join("  ")
}

fn find<'a>(letters: &'a [Value], one: &One) -> Result<&'a Value> {
    let handler = |letter: &&Value| one.handler.as_deref().is_none_or(|handler| field(letter, "handler") == handler);
    let fitting: Vec<&Value> = letters.iter().filter(|one_of| field(one_of, "id") == one.id).filter(handler).collect();
    match fitting[..] {
        [letter] => Ok(letter),
        [] => Err(Failure::Usage(format!("no dead letter has the id {}; `dead-letters list` shows all", one.id))),
        _ => {
            let handlers: Vec<&str> = fitting.iter().map(|letter| field(letter, "handler")).collect();
            Err(Failure::Usage(format!(
                "several handlers gave it up: say which with --handler, {}",
                handlers.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn letters_are_found_by_id_and_handler() {
        let letters = [
            json!({"id": "1", "handler": "a"}),
            json!({"id": "1", "handler": "b"}),
            json!({"id": "2", "handler": "a"}),
        ];
        let found = |id: &str, handler: Option<&str>| {
            find(&letters, &One { id: id.to_owned(), handler: handler.map(str::to_owned) })
                .map(key)
                .map_err(|failure| format!("{failure:?}"))
        };
        assert_eq!(found("2", None), Ok(("a".to_owned(), "2".to_owned())));
        assert_eq!(found("1", Some("b")), Ok(("b".to_owned(), "1".to_owned())));
        assert!(found("1", None).unwrap_err().contains("--handler, a, b"));
        assert!(found("3", None).unwrap_err().contains("no dead letter"));
    }
}
