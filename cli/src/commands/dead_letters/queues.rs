//! Dead letters of a stack on AWS: with the rights of whoever runs this, as `deploy` finds them.

use super::Ask;
use crate::args::Global;
use crate::aws::{self, Cloud, Place, Session, nothing_changed};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use serde_json::Value;
use updraft_aws_deploy::{Act, Error, Selection};

/// Puts commands to a stack's queues.
///
/// # Errors
/// AWS's, and those of `act`.
pub(super) fn with_stack(
    stack: Option<&str>,
    global: &Global,
    reporter: &Reporter,
    act: impl FnOnce(&dyn Fn(&Ask) -> Result<Value>) -> Result,
) -> Result {
    let place = Place { target: Cloud::AwsLambda, stack: stack.map(str::to_owned) };
    let names = aws::names(global, &place)?;
    let session = Session::new(&names.stack)?;
    let (target, stack) = session.look(async {
        let target = names.connect(reporter).await?;
        let stack = target.stack(false).await.map_err(|error| nothing_changed(&error))?;
        let missing = || Error::NoStack { stack: names.stack.clone(), region: target.region().to_owned() };
        let stack = stack.ok_or_else(missing).map_err(|error| nothing_changed(&error))?;
        Ok((target, stack))
    })?;
    act(&|ask| {
        let (what, selection) = chosen(ask);
        session.look(async {
            let answer = target.letters(&stack, what, &selection).await;
            // Nobody knows here how far it came: each letter is either where it was or on its way.
            let answer = answer.map_err(|error| Failure::Outside(error.to_string()))?;
            answer.map_err(Failure::Usage)
        })
    })
}

fn chosen(ask: &Ask) -> (Act, Selection) {
    let act = match ask.r#do {
        "show" => Act::Show,
        "redrive" => Act::Redrive,
        "drop" => Act::Drop,
        _ => Act::List,
    };
    let Ask { r#do: _, id, handler, resource, older_than, newer_than, from, limit } = ask.clone();
    (act, Selection { id, handler, resource, older_than, newer_than, from, limit })
}
