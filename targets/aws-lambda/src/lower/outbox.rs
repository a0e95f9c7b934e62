//! What looks after databases' outboxes.
//!
//! Whoever commits messages hands them on before its event is answered, with all that lies there; a process that ends between
//! the two, or a queue that can't be reached, leaves some behind. Every minute one of the functions that commit looks.

use super::{Made, Source};
use crate::names::{Ending, logical};
use crate::resources::iam::{Role, Statement};
use crate::resources::scheduler::Schedule;
use crate::template::{Broken, Made as Resource, Template};
use updraft_model::Kind;

pub(super) fn ticks(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    for database in source.used(Kind::Database) {
        let commit = || source.functions.iter().filter(|function| function.commits(&database.id));
        let alias = commit().map(|function| function.unit).min().and_then(|unit| made.aliases.get(unit));
        let Some(alias) = alias else { continue };
        let from = || commit().map(|function| format!("unit {}", function.unit));
        let invoke = Statement::allow("Tick".to_owned(), vec!["lambda:InvokeFunction"], vec![alias.arn()]);
        let role = Role::new(format!("The outbox of {}", database.id), "scheduler.amazonaws.com", vec![invoke]);
        let name = logical(&database.id, Ending::OutboxTickDeputy);
        let role = template.add(name, Resource::new(role, from()))?;
        let schedule = Schedule::of_outbox(&database.id, alias, &role)?;
        template.add(logical(&database.id, Ending::OutboxTick), Resource::new(schedule, from()))?;
    }
    Ok(())
}
