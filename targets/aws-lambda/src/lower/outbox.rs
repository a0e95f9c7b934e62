//! What looks after databases' outboxes.
//!
//! Whoever commits messages hands them on before its event is answered, with all that lies there; a process that ends between
//! the two, or a queue that can't be reached, leaves some behind. Every minute one of the functions that commit looks.

use super::{Made, Source, grants};
use crate::names::{Ending, alone, logical};
use crate::resources::iam::{Role, Statement};
use crate::resources::lambda::Invocations;
use crate::resources::scheduler::Schedule;
use crate::resources::sqs::{Order, Queue};
use crate::template::{Broken, Made as Resource, Template};
use std::collections::BTreeSet;
use updraft_model::Kind;

/// Where what an outbox can't send is kept if there is no handler that would have got it: dead letters are a handler's.
pub(super) fn unsent(source: &Source<'_>, template: &mut Template, made: &mut Made<'_>) -> Result<(), Broken> {
    let databases = source.used(Kind::Database).into_iter();
    let databases: Vec<_> = databases.filter(|database| grants::has_unsent(source, &database.id)).collect();
    if !databases.is_empty() {
        let from = databases.iter().map(|database| format!("outbox {}", database.id));
        let queue = Resource::new(Queue::new(Order::None), from).keeps();
        made.unsent = Some(template.add(alone(Ending::Unsent), queue)?);
    }
    Ok(())
}

pub(super) fn ticks(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    let mut looked_after = BTreeSet::new();
    for database in source.used(Kind::Database) {
        let commit = || source.functions.iter().filter(|function| function.commits(&database.id));
        let Some(unit) = commit().map(|function| function.unit).min() else { continue };
        let (Some(function), Some(alias)) = (made.functions.get(unit), made.aliases.get(unit)) else { continue };
        let from = || commit().map(|function| format!("unit {}", function.unit));
        let invoke = Statement::allow("Tick".to_owned(), vec!["lambda:InvokeFunction"], vec![alias.arn()]);
        let role = Role::new(format!("The outbox of {}", database.id), "scheduler.amazonaws.com", vec![invoke]);
        let role = role.within(source.settings.aws_lambda.permissions_boundary.as_deref());
        let name = logical(&database.id, Ending::OutboxTickDeputy);
        let role = template.add(name, Resource::new(role, from()).of_unit(unit))?;
        let schedule = Schedule::of_outbox(&database.id, alias, &role)?;
        let schedule = Resource::new(schedule, from()).of_unit(unit);
        template.add(logical(&database.id, Ending::OutboxTick), schedule)?;
        // The next look makes up for one that failed or came too late. Of several databases one unit may look after all.
        if looked_after.insert(unit) {
            let once = Resource::new(Invocations::once(function), [format!("unit {unit}")]).after(alias).of_unit(unit);
            template.add(logical(unit, Ending::Invocations), once)?;
        }
    }
    Ok(())
}
