//! Names: logical ids in the template, and the few physical ones that CloudFormation does not choose.
//!
//! A logical id is made from one id alone and never changes with what else there is: a changed one is another resource, and
//! what the old one kept stays behind.
//!
//! That id is what AWS knows the thing by, where it takes no second one: a route's is its key, a mapping's its queue, and not the
//! handler, which may be called otherwise tomorrow. CloudFormation makes what is new before it deletes what is old, so that
//! under another logical id the new one would meet the old and be refused.

use crate::resources::api::UNMATCHED;
use serde_json::Value;
use std::fmt::Write;

/// What a logical id ends with. None is the end of another, so that an id and its ending can be told apart, and no two things
/// get one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    Queue,
    DeadLetters,
    /// A subscriber's, a schedule's or an object handler's queue.
    Inbox,
    DeadLettersGrant,
    InboxGrant,
    Topic,
    Subscription,
    Table,
    Bucket,
    BucketPolicy,
    Secret,
    Logs,
    Role,
    Function,
    Version,
    Alias,
    Mapping,
    Schedule,
    ScheduleDeputy,
    Integration,
    Route,
    Permission,
    /// A function's, through which its requests come.
    Url,
    /// Who may ask by it, and what that leads to.
    UrlPermission,
    UrlInvocation,
    /// Of what there is one of.
    Api,
    Stage,
    /// The route of what no other route is for.
    Unmatched,
    AccessLog,
    Once,
    Undelivered,
    Rollouts,
    /// How a unit's alias moves.
    RolloutGroup,
    RolloutAlarm,
    RolloutRights,
    DatabaseUrl,
    /// For what no outbox can send.
    Unsent,
    /// How a unit's asynchronous invocations are tried.
    Invocations,
    /// Of who looks after an outbox.
    OutboxTick,
    OutboxTickDeputy,
    /// What parts know of a resource.
    Told,
    /// A part's parameter of it: what a part names is called otherwise than what it has, since it may have that itself one day.
    Given,
    Part,
    Release,
}

impl Ending {
    #[cfg(test)]
    const ALL: [Ending; 44] = [
        Ending::Queue,
        Ending::DeadLetters,
        Ending::Inbox,
        Ending::DeadLettersGrant,
        Ending::InboxGrant,
        Ending::Topic,
        Ending::Subscription,
        Ending::Table,
        Ending::Bucket,
        Ending::BucketPolicy,
        Ending::Secret,
        Ending::Logs,
        Ending::Role,
        Ending::Function,
        Ending::Version,
        Ending::Alias,
        Ending::Mapping,
        Ending::Schedule,
        Ending::ScheduleDeputy,
        Ending::Integration,
        Ending::Route,
        Ending::Permission,
        Ending::Url,
        Ending::UrlPermission,
        Ending::UrlInvocation,
        Ending::Api,
        Ending::Stage,
        Ending::Unmatched,
        Ending::AccessLog,
        Ending::Once,
        Ending::Undelivered,
        Ending::Rollouts,
        Ending::RolloutGroup,
        Ending::RolloutAlarm,
        Ending::RolloutRights,
        Ending::DatabaseUrl,
        Ending::Unsent,
        Ending::Invocations,
        Ending::OutboxTick,
        Ending::OutboxTickDeputy,
        Ending::Told,
        Ending::Given,
        Ending::Part,
        Ending::Release,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Ending::Queue => "Queue",
            Ending::DeadLetters => "DeadLetters",
            Ending::Inbox => "Inbox",
            Ending::DeadLettersGrant => "DeadLettersPolicy",
            Ending::InboxGrant => "InboxPolicy",
            Ending::Topic => "Topic",
            Ending::Subscription => "Subscription",
            Ending::Table => "Table",
            Ending::Bucket => "Bucket",
            Ending::BucketPolicy => "BucketPolicy",
            Ending::Secret => "Secret",
            Ending::Logs => "Logs",
            Ending::Role => "Role",
            Ending::Function => "Function",
            Ending::Version => "Version",
            Ending::Alias => "Alias",
            Ending::Mapping => "Mapping",
            Ending::Schedule => "Schedule",
            Ending::ScheduleDeputy => "SchedulerRights",
            Ending::Integration => "Integration",
            Ending::Route => "Route",
            Ending::Permission => "Permission",
            Ending::Url => "FunctionUrl",
            Ending::UrlPermission => "FunctionUrlCallers",
            Ending::UrlInvocation => "FunctionUrlRequests",
            Ending::Api => "HttpApi",
            Ending::Stage => "HttpStage",
            Ending::Unmatched => "HttpUnmatched",
            Ending::AccessLog => "AccessLog",
            Ending::Once => "OnceRecords",
            Ending::Undelivered => "UndeliveredTicks",
            Ending::Rollouts => "Rollouts",
            Ending::RolloutGroup => "RolloutGroup",
            Ending::RolloutAlarm => "RolloutAlarm",
            Ending::RolloutRights => "RolloutRights",
            Ending::DatabaseUrl => "DatabaseUrl",
            Ending::Unsent => "UnsentMessages",
            Ending::Invocations => "Invocations",
            Ending::OutboxTick => "OutboxTick",
            Ending::OutboxTickDeputy => "OutboxTickRights",
            Ending::Told => "Parameter",
            Ending::Given => "Given",
            Ending::Part => "Part",
            Ending::Release => "Release",
        }
    }
}

/// The logical id of what stands for an id: `mailer-key` → `MailerKeySecret`, `shop::ship` → `ShopShipX1f2e3d4cInbox`.
pub(crate) fn logical(id: &str, ending: Ending) -> String {
    format!("{}{}", word(id), ending.as_str())
}

/// The logical id of what stands for a resource of the template.
pub(crate) fn of(logical: &str, ending: Ending) -> String {
    format!("{logical}{}", ending.as_str())
}

/// The logical id of what there is one of: no id is empty, so that no other has this name.
pub(crate) fn alone(ending: Ending) -> String {
    ending.as_str().to_owned()
}

/// The logical id of a route: `GET /orders/{id}` → `GetOrdersOneX1f2e3d4cRoute`. What its parameters are called does not count:
/// it asks for the same.
pub(crate) fn route(key: &str) -> String {
    if key == UNMATCHED {
        return alone(Ending::Unmatched);
    }
    let (method, path) = key.split_once(' ').unwrap_or(("", key));
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) if name.ends_with('+') => "{rest+}".to_owned(),
        Some(name) if !name.starts_with('{') => "{one}".to_owned(),
        _ => segment.to_owned(),
    };
    let path: Vec<String> = path.split('/').map(segment).collect();
    logical(&format!("{} {}", method.to_ascii_lowercase(), path.join("/")), Ending::Route)
}

/// The longest part of an id that a logical id shows: with a hash and an ending it stays far below the 255 characters that
/// CloudFormation allows.
const SHOWN: usize = 120;

/// Letters and digits, another for each id. Kebab case comes back from its words' capitals; whatever else is in an id (`::`,
/// `_`, letters that are not ASCII), a hash tells.
fn word(id: &str) -> String {
    let plain = id.len() <= SHOWN
        && id.split('-').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        });
    let mut out = String::new();
    for part in id.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut characters = part.chars();
        out.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(characters.as_str());
    }
    if !plain {
        out.truncate(SHOWN);
        let _ = write!(out, "X{}", crate::template::hash8(&Value::from(id)));
    }
    out
}

/// A bucket's name before the twelve hex digits of its stack: at most 63 characters with them, of lower case letters,
/// digits and `-`. S3 knows one bucket of a name in the world, and the queue that a bucket tells of its objects must name
/// the bucket before there is one: so CloudFormation can't choose it.
pub(crate) fn bucket(app: &str, id: &str) -> String {
    const LONGEST: usize = 63 - "-0123456789ab".len();
    let whole = format!("{app}-{id}");
    let plain = whole.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    // Beginnings that S3 keeps for itself.
    let kept = ["-", "xn--", "sthree-", "amzn-s3-demo-"].iter().any(|kept| whole.starts_with(kept));
    if plain && !kept && whole.len() <= LONGEST {
        return whole;
    }
    let name: String =
        whole.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let shown: String = name.trim_matches('-').chars().take(LONGEST - "b--01234567".len()).collect();
    format!("b-{shown}-{}", crate::template::hash8(&Value::from(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_ending_is_the_end_of_another() {
        for one in Ending::ALL {
            for other in Ending::ALL {
                assert!(one == other || !one.as_str().ends_with(other.as_str()), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn different_ids_have_different_names() {
        let ids = ["a-b", "ab", "a::b", "a_b", "a::b_c", "a::b::c", "a-b-c", "straße", "strae", "a1-b", "a-1b", "a1b"];
        let long = ["x".repeat(300), "x".repeat(301)];
        let all: Vec<&str> = ids.into_iter().chain(long.iter().map(String::as_str)).collect();
        let names: BTreeSet<String> = all.iter().map(|id| logical(id, Ending::Queue)).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        assert!(names.iter().all(|name| name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric())));
        assert_eq!(logical("mailer-key", Ending::Secret), "MailerKeySecret");
    }

    #[test]
    fn routes_are_told_by_what_they_ask_for() {
        let keys = [
            "GET /orders/{id}",
            "HEAD /orders/{id}",
            "GET /orders/{id}/lines",
            "GET /orders/id",
            "GET /orders/one",
            "GET /orders/{rest+}",
            "GET /orders",
            "GET /orders/",
            "GET /Orders",
            "GET /",
            "ANY /orders",
            "$default",
        ];
        let names: BTreeSet<String> = keys.into_iter().map(route).collect();
        assert_eq!(names.len(), keys.len(), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("GetOrdersOneLinesX")), "{names:?}");
        assert_eq!(route("GET /orders/{id}"), route("GET /orders/{order}"));
        assert_eq!(route("ANY /legacy/{below+}"), route("ANY /legacy/{rest+}"));
    }

    #[test]
    fn buckets_have_names_that_s3_takes() {
        let names = ["audit-log", "Uploads_now", &"very-long-".repeat(9), &"very-long-".repeat(10), "straße"]
            .map(|id| bucket("shop", id));
        assert_eq!(names[0], "shop-audit-log");
        for name in &names {
            assert!(name.len() <= 50 && name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
        assert_eq!(BTreeSet::from(names.clone()).len(), names.len(), "{names:?}");
        assert!(bucket("-x", "y").starts_with('b'));
    }
}
