//! `AWS::Scheduler::Schedule`: a tick, sent to a queue; and what has outboxes looked after.
//!
//! The scheduler would invoke a function asynchronously, which Lambda tries three times at most, whatever a handler asks for.
//! From a queue a tick is delivered, retried and given up as any message, and from a FIFO queue one at a time.

use super::iam::Role;
use super::lambda::Alias;
use super::sqs::Queue;
use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use updraft_wire::aws::TICKS_GROUP;
use updraft_wire::aws::events::{Asked, Direct, Due, Outbox, SCHEDULED};

/// The longest that the scheduler tries to send a tick, in seconds: a day.
const LONGEST_AGE_SECONDS: u32 = 86_400;
/// Of a tick that is not made up for: its next one may be a minute later.
const SHORTEST_AGE_SECONDS: u32 = 60;
/// How long the description of a schedule may be, in characters.
const DESCRIPTION: usize = 512;
/// How often it tries.
const TRIES: u32 = 185;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Schedule {
    description: String,
    schedule_expression: String,
    schedule_expression_timezone: String,
    flexible_time_window: Window,
    state: &'static str,
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Window {
    mode: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    arn: Text,
    role_arn: Text,
    input: String,
    retry_policy: Retries,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_config: Option<DeadLetters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqs_parameters: Option<Group>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Retries {
    maximum_event_age_in_seconds: u32,
    maximum_retry_attempts: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetters {
    arn: Text,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    message_group_id: &'static str,
}

impl Properties for Schedule {
    const TYPE: &'static str = "AWS::Scheduler::Schedule";
}

/// What fires, and when.
pub(crate) struct When<'a> {
    /// The handler's id.
    pub(crate) handler: &'a str,
    /// AWS's own form.
    pub(crate) cron: String,
    /// IANA name.
    pub(crate) timezone: &'a str,
    /// Whether a tick that could not be sent is, once it can.
    pub(crate) made_up_for: bool,
}

impl Schedule {
    /// Whose ticks go to `inbox`, or if that can't be reached to `dead_letters`.
    pub(crate) fn new(
        when: &When<'_>,
        (inbox, fifo): (&Id<Queue>, bool),
        dead_letters: &Id<Queue>,
        role: &Id<Role>,
    ) -> serde_json::Result<Self> {
        // How often it was sent does not count: a tick that is sent again has the same contents.
        let due = Due { handler: when.handler.to_owned(), scheduled: SCHEDULED.to_owned(), attempt: "1".to_owned() };
        Ok(Schedule {
            description: format!("schedule {}", when.handler).chars().take(DESCRIPTION).collect(),
            schedule_expression: when.cron.clone(),
            schedule_expression_timezone: when.timezone.to_owned(),
            flexible_time_window: Window { mode: "OFF" },
            state: "ENABLED",
            target: Target {
                arn: inbox.arn(),
                role_arn: role.arn(),
                input: serde_json::to_string(&Direct { updraft: Asked::Schedule(due) })?,
                retry_policy: Retries {
                    maximum_event_age_in_seconds: if when.made_up_for {
                        LONGEST_AGE_SECONDS
                    } else {
                        SHORTEST_AGE_SECONDS
                    },
                    maximum_retry_attempts: TRIES,
                },
                dead_letter_config: Some(DeadLetters { arn: dead_letters.arn() }),
                sqs_parameters: fifo.then_some(Group { message_group_id: TICKS_GROUP }),
            },
        })
    }
}

impl Schedule {
    /// Has a function look after a database's outbox. A look that fails is made up for by the next.
    pub(crate) fn of_outbox(database: &str, alias: &Id<Alias>, role: &Id<Role>) -> serde_json::Result<Self> {
        let outbox = Asked::Outbox(Outbox { database: database.to_owned() });
        Ok(Schedule {
            description: format!("outbox of {database}"),
            schedule_expression: "rate(1 minute)".to_owned(),
            schedule_expression_timezone: "UTC".to_owned(),
            flexible_time_window: Window { mode: "OFF" },
            state: "ENABLED",
            target: Target {
                arn: alias.arn(),
                role_arn: role.arn(),
                input: serde_json::to_string(&Direct { updraft: outbox })?,
                retry_policy: Retries { maximum_event_age_in_seconds: SHORTEST_AGE_SECONDS, maximum_retry_attempts: 0 },
                dead_letter_config: None,
                sqs_parameters: None,
            },
        })
    }
}

/// An expression as AWS writes it: six fields, the week's days from 1 on, a `?` for the day that does not count. `None` if
/// both days count: AWS can't say "either".
pub(crate) fn cron(expression: &str) -> Option<String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return None };
    let plain = |field: &str, range: (u32, u32)| list(field, range, 0);
    let (day, weekday) = match (day, weekday) {
        (_, "*") => (plain(day, (1, 31))?, "?".to_owned()),
        ("*", _) => ("?".to_owned(), list(weekday, (0, 6), 1)?),
        _ => return None,
    };
    let (minute, hour, month) = (plain(minute, (0, 59))?, plain(hour, (0, 23))?, plain(month, (1, 12))?);
    Some(format!("cron({minute} {hour} {day} {month} {weekday} *)"))
}

/// A field of cron with its steps counted out, each number `shift` higher: `*/15` → `0,15,30,45`.
fn list(field: &str, (least, most): (u32, u32), shift: u32) -> Option<String> {
    if field == "*" {
        return Some(field.to_owned());
    }
    let mut items = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((low, high)) => (low.parse::<u32>().ok()?, high.parse::<u32>().ok()?),
            None => {
                let one = range.parse::<u32>().ok()?;
                (one, if step.is_some() { most } else { one })
            }
        };
        match step {
            None if low == high => items.push((low + shift).to_string()),
            None => items.push(format!("{}-{}", low + shift, high + shift)),
            Some(step) => {
                let step = step.parse::<usize>().ok().filter(|step| *step > 0)?;
                items.extend((low..=high).step_by(step).map(|number| (number + shift).to_string()));
            }
        }
    }
    Some(items.join(","))
}

#[cfg(test)]
mod tests {
    use super::cron;

    #[test]
    fn the_same_times_in_other_words() {
        for (written, aws) in [
            ("0 3 * * *", "cron(0 3 * * ? *)"),
            ("*/15 8-18 * * 1-5", "cron(0,15,30,45 8-18 ? * 2-6 *)"),
            ("0 0 1 1,7 *", "cron(0 0 1 1,7 ? *)"),
            ("30 4 * * 0", "cron(30 4 ? * 1 *)"),
            ("0-30/10 * * * *", "cron(0,10,20,30 * * * ? *)"),
            ("* * * * *", "cron(* * * * ? *)"),
        ] {
            assert_eq!(cron(written).as_deref(), Some(aws), "{written}");
        }
        assert_eq!(cron("0 0 13 * 5"), None, "on the 13th or on Fridays");
    }
}
