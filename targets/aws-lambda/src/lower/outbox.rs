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
use updraft_model::{self as model, Kind};

/// The databases whose outboxes may hold what no handler would have got.
pub(super) fn with_unsent<'a>(source: &Source<'a>) -> Vec<&'a model::Resource> {
    let databases = source.used(Kind::Database).into_iter();
    databases.filter(|database| grants::has_unsent(source, &database.id)).collect()
}

/// Where what an outbox can't send is kept if there is no handler that would have got it: dead letters are a handler's.
pub(super) fn unsent(source: &Source<'_>, template: &mut Template, made: &mut Made<'_>) -> Result<(), Broken> {
    let databases = with_unsent(source);
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

#[cfg(test)]
mod tests {
    use crate::checks::fixture;
    use crate::{AwsLambda, TEMPLATE, keeps_messages};
    use updraft_model::{Plan, Sink, Target};

    /// Whether a function of the plan's is told of a queue that no handler sends to.
    fn is_told(plan: &Plan) -> bool {
        let artifacts = AwsLambda.compile(plan, &mut Sink::default()).unwrap();
        let template = String::from_utf8(artifacts.get(TEMPLATE).unwrap().bytes.clone()).unwrap();
        ["dead-letters/", "consumes/", "unsent/"].iter().any(|known| template.contains(known))
    }

    /// What is linked and what functions are told of must not part: a function that is told of a queue without the engine for it
    /// does not start.
    #[test]
    fn the_engine_of_queues_is_there_where_functions_are_told_of_one() {
        let without_takers = |mut plan: Plan| {
            plan.app.handlers.retain(|handler| !handler.takes_messages());
            plan.units.retain(|unit| unit.handlers.iter().all(|id| plan.app.handler(id).is_some()));
            plan
        };
        let plans = [fixture::shop(), fixture::with_books(), without_takers(fixture::shop())];
        for (plan, told) in plans.iter().zip([true, true, false]) {
            assert_eq!((is_told(plan), keeps_messages(&plan.app, &plan.units, &plan.settings)), (told, told));
        }
        let nobody_takes = without_takers(fixture::with_books());
        assert!(is_told(&nobody_takes));
        assert!(keeps_messages(&nobody_takes.app, &nobody_takes.units, &nobody_takes.settings));
    }
}
