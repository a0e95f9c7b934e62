//! Dead letters of a laptop, as the control socket shows and redrives them.

use super::run::App;
use crate::engine::EngineError;
use crate::selection::{Command, Done, Letters, Picker, Selection};
use serde_json::Value;

/// Why it was not done: a question that makes no sense, or the state.
pub(super) enum Problem {
    Question(String),
    State(EngineError),
}

/// Does what is asked.
pub(super) async fn obey(app: &App, command: Command) -> Result<Value, Problem> {
    let value = match command {
        Command::List(selection) => {
            let (picked, next) = pick(app, &selection)?.page();
            serde_json::to_value(Letters { letters: picked.into_values().collect(), next })
        }
        Command::Show(selection) => {
            let (_, one) = pick(app, &selection)?.only().map_err(Problem::Question)?;
            serde_json::to_value(app.engine.dead_letter(&one.handler, &one.id).map_err(Problem::State)?)
        }
        Command::Redrive(selection) => {
            let (letters, next) = pick(app, &selection)?.chosen().map_err(Problem::Question)?;
            let mut done = Done { next, ..Done::default() };
            for letter in letters.into_values() {
                let outcome = app.engine.redrive(&letter.handler, &letter.id).await;
                done.count(letter, outcome.map_err(|error| error.to_string()));
            }
            serde_json::to_value(done)
        }
        Command::Drop(selection) => {
            let (letters, next) = pick(app, &selection)?.chosen().map_err(Problem::Question)?;
            let mut done = Done { next, ..Done::default() };
            for letter in letters.into_values() {
                let outcome = app.engine.drop_letter(&letter.handler, &letter.id).await;
                done.count(letter, outcome.map_err(|error| error.to_string()));
            }
            serde_json::to_value(done)
        }
    };
    value.map_err(|error| Problem::State(EngineError::Other(Box::new(error))))
}

/// The page that is selected, without bodies: how many letters there are is no matter for the memory.
fn pick<'a>(app: &App, selection: &'a Selection) -> Result<Picker<'a>, Problem> {
    let mut picker = Picker::new(selection, app.ctx.clock().now());
    let looked = app.engine.each_dead_letter(selection.handler.as_deref(), |letter| picker.look(&letter));
    looked.map_err(Problem::State)?;
    Ok(picker)
}
