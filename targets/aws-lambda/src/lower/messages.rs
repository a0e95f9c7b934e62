//! What carries messages: queues, topics, and an inbox for each handler that something else than a queue runs. Each handler
//! has dead letters of its own.

use super::{Inbox, Made, Source, data, module_of, module_with, timeout};
use crate::capabilities::FIFO_BATCH;
use crate::intrinsics::Text;
use crate::names::{Ending, alone, logical};
use crate::resources::iam::{Role, Statement};
use crate::resources::scheduler::{Schedule, When, cron};
use crate::resources::sns::{Subscription, Topic};
use crate::resources::sqs::{Order, Queue, QueuePolicy};
use crate::template::{Broken, Id, Made as Resource, Properties, Template};
use crate::units::{connections, databases, describe, serving};
use updraft_model::{Handler, Kind, Trigger};
use updraft_wire::defaults;

pub(super) fn topics<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for topic in source.used(Kind::Topic) {
        let resource = Resource::new(Topic::new(), [format!("topic {}", topic.id)]);
        made.topics.insert(&topic.id, template.add(logical(&topic.id, Ending::Topic), resource)?);
    }
    Ok(())
}

/// Declared queues. One with a consumer is its inbox.
pub(super) fn queues<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for queue in source.used(Kind::Queue) {
        let order = Order::of(queue);
        let consumes = |handler: &&Handler| handler.trigger.source() == Some((Kind::Queue, &queue.id));
        let name = logical(&queue.id, Ending::Queue);
        let mut from = vec![format!("queue {}", queue.id)];
        let Some(consumer) = source.app.handlers.iter().find(consumes) else {
            let resource = Resource::new(Queue::new(order), from).keeps().of_module(module_with(queue));
            let id = template.add(name, resource)?;
            made.queues.insert(&queue.id, id);
            continue;
        };
        from.push(describe(consumer));
        let module = Some(module_with(queue));
        let dead_letters = dead_letters(template, consumer, order, module)?;
        let properties = taken(source, consumer, order, &dead_letters);
        let resource = Resource::new(properties, from).keeps().of_module(module_with(queue));
        let id = template.add(name, resource)?;
        made.queues.insert(&queue.id, id.clone());
        made.inboxes.insert(&consumer.id, Inbox { queue: id, dead_letters, order, grant: None });
    }
    Ok(())
}

/// Inboxes, and whom they let in.
pub(super) fn inboxes<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for handler in &source.app.handlers {
        let (order, sender) = match &handler.trigger {
            Trigger::Subscriber { topic, .. } => {
                let Some(topic) = made.topics.get(topic.as_str()) else { continue };
                (Order::None, Some(("sns.amazonaws.com", topic.arn())))
            }
            Trigger::Object { bucket, .. } => {
                (Order::None, Some(("s3.amazonaws.com", data::bucket_arn(source, bucket))))
            }
            // The scheduler has a role, and needs no grant at the queue.
            Trigger::Schedule { overlap, .. } => (if *overlap { Order::None } else { Order::Ticks }, None),
            Trigger::Consumer { .. }
            | Trigger::Http { .. }
            | Trigger::Function { .. }
            | Trigger::Routes { .. }
            | Trigger::Layer { .. }
            | Trigger::Shared { .. } => continue,
        };
        let dead_letters = dead_letters(template, handler, order, kept_by(handler))?;
        let properties = taken(source, handler, order, &dead_letters);
        let name = logical(&handler.id, Ending::Inbox);
        let queue = template.add(name, of(handler, Resource::new(properties, [describe(handler)]).keeps()))?;
        let grant = match sender {
            None => None,
            Some((service, arn)) => {
                let policy = Resource::new(QueuePolicy::new(&queue, service, arn), [describe(handler)]);
                let policy = of(handler, policy);
                Some(template.add(logical(&handler.id, Ending::InboxGrant), policy)?)
            }
        };
        made.inboxes.insert(&handler.id, Inbox { queue, dead_letters, order, grant });
    }
    Ok(())
}

/// The module whose stack a handler's inbox is in. A bucket has to know those of its objects.
fn kept_by(handler: &Handler) -> Option<String> {
    (!matches!(handler.trigger, Trigger::Object { .. })).then(|| module_of(handler))
}

fn of<P: Properties>(handler: &Handler, resource: Resource<P>) -> Resource<P> {
    match kept_by(handler) {
        Some(module) => resource.of_module(module),
        None => resource,
    }
}

fn dead_letters(
    template: &mut Template,
    handler: &Handler,
    order: Order,
    module: Option<String>,
) -> Result<Id<Queue>, Broken> {
    // Whoever redrives them reads here whose they are, and of what.
    let by = handler.trigger.source().map(|(kind, id)| format!("{kind} {id}"));
    let from = [describe(handler)].into_iter().chain(by);
    let resource = Resource::new(Queue::dead_letters(order), from).keeps();
    let resource = match module {
        Some(module) => resource.of_module(module),
        None => resource,
    };
    template.add(logical(&handler.id, Ending::DeadLetters), resource)
}

/// The queue that a handler takes from.
fn taken(source: &Source<'_>, handler: &Handler, order: Order, dead_letters: &Id<Queue>) -> Queue {
    let timeout = serving(&source.functions, &handler.id).map_or(handler.timeout, timeout);
    Queue::new(order).taken(timeout, batch(source, handler, order), handler.retries, dead_letters)
}

/// How many messages a handler gets at a time, and for how many seconds the first waits for the others. Both are upper
/// limits: a FIFO queue gives ten at most and does not wait.
///
/// One that takes single messages gets as many as SQS hands out at once, and the runtime hands them on side by side; but
/// messages that wait for each other are handed out singly, so that each has the function's whole time. So it is with those
/// that wait for a connection to a database.
pub(super) fn batch(source: &Source<'_>, handler: &Handler, order: Order) -> (u32, u32) {
    let option = |name: &str| handler.options.get(name).and_then(|value| value.parse::<u32>().ok());
    match (option("batch"), order.is_fifo()) {
        (None, true) => (1, 0),
        (None, false) if databases(handler).next().is_some() => (connections(source.settings).min(defaults::BATCH), 0),
        (None, false) => (defaults::BATCH, 0),
        (Some(most), true) => (most.clamp(1, FIFO_BATCH), 0),
        (Some(most), false) => {
            // AWS asks for a second at least where a batch is larger than what SQS hands out at once.
            let least = if most > defaults::BATCH { defaults::BATCH_WINDOW_SECONDS } else { 0 };
            (most.max(1), option("window").unwrap_or_default().max(least))
        }
    }
}

/// Topics' edges to inboxes. What can't be delivered there becomes a dead letter, for which its queue lets the topic in.
pub(super) fn subscriptions(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    for handler in &source.app.handlers {
        let Trigger::Subscriber { topic, when } = &handler.trigger else { continue };
        let (Some(topic), Some(inbox)) = (made.topics.get(topic.as_str()), made.inboxes.get(handler.id.as_str()))
        else {
            continue;
        };
        let from = || [describe(handler)];
        let policy = QueuePolicy::new(&inbox.dead_letters, "sns.amazonaws.com", topic.arn());
        let policy = of(handler, Resource::new(policy, from()));
        let grant = template.add(logical(&handler.id, Ending::DeadLettersGrant), policy)?;
        let subscription = Subscription::new(topic, &inbox.queue, &inbox.dead_letters, when);
        let mut resource = of(handler, Resource::new(subscription, from()).after(&grant));
        if let Some(grant) = &inbox.grant {
            resource = resource.after(grant);
        }
        template.add(logical(&handler.id, Ending::Subscription), resource)?;
    }
    Ok(())
}

/// Schedules, each with a role that lets the scheduler send to its inbox. Ticks that can't be sent at all are kept in one
/// queue for all: the scheduler takes no FIFO queue for them.
pub(super) fn schedules(source: &Source<'_>, template: &mut Template, made: &Made<'_>) -> Result<(), Broken> {
    let mut undelivered: Option<Id<Queue>> = None;
    for handler in &source.app.handlers {
        let Trigger::Schedule { cron: expression, timezone, run_missed, .. } = &handler.trigger else { continue };
        let (Some(inbox), Some(cron)) = (made.inboxes.get(handler.id.as_str()), cron(expression)) else { continue };
        let lost = match &undelivered {
            Some(lost) => lost.clone(),
            None => {
                let from = ["schedules whose ticks can't be sent".to_owned()];
                template.add(alone(Ending::Undelivered), Resource::new(Queue::new(Order::None), from).keeps())?
            }
        };
        undelivered = Some(lost.clone());
        let from = || [describe(handler)];
        let send: fn(&str, Text) -> Statement =
            |sid, arn| Statement::allow(sid.to_owned(), vec!["sqs:SendMessage"], vec![arn]);
        let statements = vec![send("Tick", inbox.queue.arn()), send("Undelivered", lost.arn())];
        let role = Role::new(format!("Ticks of {}", handler.id), "scheduler.amazonaws.com", statements);
        let role = role.within(source.settings.aws_lambda.permissions_boundary.as_deref());
        let role = of(handler, Resource::new(role, from()));
        let role = template.add(logical(&handler.id, Ending::ScheduleDeputy), role)?;
        let when = When { handler: &handler.id, cron, timezone, made_up_for: *run_missed };
        let schedule = Schedule::new(&when, (&inbox.queue, inbox.order.is_fifo()), &lost, &role)?;
        let schedule = of(handler, Resource::new(schedule, from()));
        template.add(logical(&handler.id, Ending::Schedule), schedule)?;
    }
    Ok(())
}
