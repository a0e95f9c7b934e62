//! Ids and what is derived from them: paths of the runtime's own, types and sources of events.

use std::fmt::Write;

/// Ready to take requests.
pub const READY_PATH: &str = "/_updraft/readyz";
/// Alive.
pub const LIVE_PATH: &str = "/_updraft/livez";
/// Metrics in Prometheus' format: on the internal face, and on a laptop.
pub const METRICS_PATH: &str = "/_updraft/metrics";
/// The prefix of all paths that belong to the runtime.
pub const OWN_PREFIX: &str = "/_updraft/";
/// Where a laptop's presigned URLs lead: a token follows.
pub const PRESIGNED_PATH: &str = "/_updraft/presigned/";
/// The path at which the dead-letter unit takes records and what a broker's dead-letter sink sends.
pub const DEAD_LETTER_PATH: &str = "/_updraft/dead-letters";

/// Where a handler takes its events: `/_updraft/events/shop.orders.ship`.
pub fn event_path(handler: &str) -> String {
    format!("/_updraft/events/{}", dotted(handler))
}

/// Where a function takes its calls: `/_updraft/functions/shop.pricing.quote`.
pub fn function_path(handler: &str) -> String {
    format!("/_updraft/functions/{}", dotted(handler))
}

/// A handler's id as it stands in a path: `shop.orders.ship`.
pub fn dotted(handler: &str) -> String {
    handler.replace("::", ".")
}

/// The type of a queue's messages as CloudEvents: `shop.queue.orders`.
pub fn queue_event_type(app: &str, queue: &str) -> String {
    format!("{app}.queue.{queue}")
}

/// The type of a topic's messages as CloudEvents: `shop.topic.shipped`.
pub fn topic_event_type(app: &str, topic: &str) -> String {
    format!("{app}.topic.{topic}")
}

/// The type of what a bucket tells of its objects, as CloudEvents: `shop.bucket.uploads`.
pub fn object_event_type(app: &str, bucket: &str) -> String {
    format!("{app}.bucket.{bucket}")
}

/// The type of a schedule's ticks where a job publishes them: `shop.schedule.shop.reports.nightly_report`.
pub fn tick_event_type(app: &str, handler: &str) -> String {
    format!("{app}.schedule.{}", dotted(handler))
}

/// The source of what a handler sends: `//shop/shop::orders::place_order`.
pub fn event_source(app: &str, handler: &str) -> String {
    format!("//{app}/{handler}")
}

/// The environment's name for a secret's value: `UPDRAFT_SECRET_MAILER_KEY`.
pub fn secret_variable(id: &str) -> String {
    let mut name = "UPDRAFT_SECRET_".to_owned();
    name.extend(id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }));
    name
}

/// A type's name in kebab case, the id of its resource: `MailerKey` → `mailer-key`, `HTTPLog` → `http-log`,
/// `OrdersV2` → `orders-v2`.
pub fn kebab(name: &str) -> String {
    let characters: Vec<char> = name.trim_start_matches("r#").chars().collect();
    let mut id = String::new();
    for (at, &character) in characters.iter().enumerate() {
        if character == '_' {
            if !id.is_empty() && !id.ends_with('-') {
                id.push('-');
            }
            continue;
        }
        let before = at.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(at + 1);
        let starts = character.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() && before != '_' || after.is_some_and(|after| after.is_lowercase())
            });
        if starts && !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
        let _ = write!(id, "{}", character.to_lowercase());
    }
    id.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kebab_case() {
        for (name, id) in [
            ("Orders", "orders"),
            ("MailerKey", "mailer-key"),
            ("HTTPLog", "http-log"),
            ("OrdersV2", "orders-v2"),
            ("A", "a"),
            ("AB", "ab"),
            ("Snake_Case", "snake-case"),
            ("r#Type", "type"),
            ("Straße", "straße"),
        ] {
            assert_eq!(kebab(name), id, "{name}");
        }
    }

    #[test]
    fn derived_names() {
        assert_eq!(event_path("shop::orders::ship"), "/_updraft/events/shop.orders.ship");
        assert_eq!(secret_variable("mailer-key"), "UPDRAFT_SECRET_MAILER_KEY");
    }
}
