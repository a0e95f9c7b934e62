//! Dead letters of a laptop, as the control socket shows and redrives them.

use super::run::App;
use crate::deadletter::DeadLetter;
use crate::engine::EngineError;
use crate::selection::{Command, Done, Letters, Picker, Selection};
use serde_json::Value;
use std::collections::BTreeMap;

/// Why it was not done: a question that makes no sense, or the state.
pub(super) enum Problem {
    Question(String),
    State(EngineError),
}

/// Does what is asked.
pub(super) async fn obey(app: &App, command: Command) -> Result<Value, Problem> {
    let value = match command {
        Command::List(selection) => {
            let (picked, next) = pick(app, &selection)?.0.page();
            serde_json::to_value(Letters { letters: picked.into_values().collect(), next })
        }
        Command::Show(selection) => {
            let (picker, mut letters) = pick(app, &selection)?;
            let key = picker.only().map_err(Problem::Question)?;
            serde_json::to_value(letters.remove(&key))
        }
        Command::Redrive(selection) => {
            let (letters, next) = pick(app, &selection)?.0.chosen().map_err(Problem::Question)?;
            let mut done = Done { next, ..Done::default() };
            for letter in letters.into_values() {
                let outcome = app.engine.redrive(&letter.handler, &letter.id).await;
                done.count(letter, outcome.map_err(|error| error.to_string()));
            }
            serde_json::to_value(done)
        }
        Command::Drop(selection) => {
            let (letters, next) = pick(app, &selection)?.0.chosen().map_err(Problem::Question)?;
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

fn pick<'a>(app: &App, selection: &'a Selection) -> Result<(Picker<'a>, BTreeMap<String, DeadLetter>), Problem> {
    let mut picker = Picker::new(selection, app.ctx.clock().now());
    let letters = app.engine.dead_letters().map_err(Problem::State)?;
    letters.iter().for_each(|letter| picker.look(letter));
    Ok((picker, letters.into_iter().map(|letter| (letter.key(), letter)).collect()))
}
