//! UD2010: settings of the target that AWS does not take.

use super::Subject;
use crate::capabilities::{
    CONCURRENCY, MEMORY, MOST_SECURITY_GROUPS, MOST_SUBNETS, REPOSITORY_CHARACTERS, RESOURCES_PER_STACK, RETENTION_DAYS,
};
use updraft_model::settings::{AwsLambda, Entry, LambdaDatabase, Package, Throttle};
use updraft_model::{Diagnostic, Explain, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2010",
    title: "a setting that AWS does not take",
    text: "\
`[target.aws-lambda]` says how much a function has, and AWS takes these numbers:

- `memory`, in MB: 128 to 10240,
- `concurrency`, how many invocations each of a unit's queues has at a time: 2 to 1000, and not more than `reserved`,
- `reserved`, how many a function has at all,
- `log_retention_days`: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288
  or 3653,
- `throttle`, of an API's requests: 1 or more, and none where a function's URL is in its place (`http = \"function-url\"`),
- `resources_per_stack`, beyond which functions get stacks of their own: 10 to 500,
- `database.subnets` (`subnet-…`, 16 at most) and `database.security_groups` (`sg-…`, 5 at most): both, or neither,
- `database.connections`: 1 or more,
- `repository`, the name of one in ECR: small letters and digits, with `-`, `_` or `.` between them and `/` between its parts,
  2 to 256 in all. It is of images: `package = \"image\"`,
- `permissions_boundary`: the name of a policy of the account (`ci` writes it, beside the role that deploys), or the ARN of
  one of your own.

A table `units.<id>` is of a unit that the placement makes; `graph` shows them.

```toml
[target.aws-lambda]
log_retention_days = 10

[target.aws-lambda.functions]
memory = 64
```

```toml
[target.aws-lambda]
log_retention_days = 14

[target.aws-lambda.functions]
memory = 128
```
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let settings = &subject.settings.aws_lambda;
    network(&settings.database, sink);
    boundary(settings.permissions_boundary.as_deref(), sink);
    repository(settings, sink);
    let known = |unit: &str| unit == "*" || subject.units.iter().any(|held| held.id == unit);
    for unit in settings.functions.keys().filter(|unit| !known(unit)) {
        let names: Vec<&str> = subject.units.iter().map(|unit| unit.id.as_str()).collect();
        sink.push(
            Diagnostic::error(
                "UD2010",
                format!("`[target.aws-lambda.units.{unit}]` speaks of a unit that there is not"),
            )
            .help(format!("the units are {}", names.join(", "))),
        );
    }
    throttle(settings, sink);
    let mut refuse = |key: &str, value: u32, help: String| {
        sink.push(
            Diagnostic::error("UD2010", format!("`[target.aws-lambda] {key} = {value}` is nothing that AWS takes"))
                .help(help),
        );
    };
    if let Some(days) = settings.log_retention_days.filter(|days| !RETENTION_DAYS.contains(days)) {
        let longer =
            RETENTION_DAYS.iter().find(|known| **known > days).unwrap_or(&RETENTION_DAYS[RETENTION_DAYS.len() - 1]);
        refuse("log_retention_days", days, format!("the next that it takes is {longer}"));
    }
    for (key, value) in [("throttle.rate", settings.throttle.rate), ("throttle.burst", settings.throttle.burst)] {
        if value == Some(0) {
            refuse(key, 0, "no request would get through; leave it away for AWS's own limit".to_owned());
        }
    }
    if let Some(most) = settings.resources_per_stack.filter(|most| !RESOURCES_PER_STACK.contains(most)) {
        let (least, most_of_all) = (RESOURCES_PER_STACK.start(), RESOURCES_PER_STACK.end());
        refuse("resources_per_stack", most, format!("it takes {least} to {most_of_all}, of which AWS takes no more"));
    }
    for (unit, function) in &settings.functions {
        let table = if unit == "*" { "functions".to_owned() } else { format!("units.{unit}") };
        let ranges = [("memory", function.memory, MEMORY), ("concurrency", function.concurrency, CONCURRENCY)];
        for (key, value, range) in ranges {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                refuse(&format!("{table}.{key}"), value, format!("it takes {} to {}", range.start(), range.end()));
            }
        }
    }
    for unit in subject.units {
        let function = settings.function(&unit.id);
        if let (Some(concurrency), Some(reserved)) = (function.concurrency, function.reserved)
            && concurrency > reserved
        {
            let help = format!("of unit {} at most {reserved}, which `reserved` keeps for it", unit.id);
            refuse("concurrency", concurrency, help);
        }
    }
}

/// Where images go.
fn repository(settings: &AwsLambda, sink: &mut Sink) {
    let Some(name) = &settings.repository else { return };
    let mut refuse = |problem: &str, help: &str| {
        let message = format!("`[target.aws-lambda] repository = \"{name}\"` {problem}");
        sink.push(Diagnostic::error("UD2010", message).help(help));
    };
    if !is_repository(name) {
        let help = "small letters and digits, with `-`, `_` or `.` between them and `/` between its parts; account and region are those \
                    that are deployed to";
        refuse("can't be the name of one in ECR", help);
    }
    if settings.package == Package::Zip {
        refuse("has nothing to hold: functions' code is a zip", "add `package = \"image\"`, or leave it away");
    }
}

/// Whether ECR takes a name.
fn is_repository(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let part = |part: &str| part.split(['-', '_', '.']).all(word);
    (2..=REPOSITORY_CHARACTERS).contains(&name.len()) && name.split('/').all(part)
}

/// What nobody would keep to.
fn throttle(settings: &AwsLambda, sink: &mut Sink) {
    if settings.http == Entry::FunctionUrl && settings.throttle != Throttle::default() {
        let problem = "`[target.aws-lambda] throttle` is of an API, and a function's URL takes all requests";
        let help = "`reserved` of the unit that has the routes says how many are answered at a time: others get 429";
        sink.push(Diagnostic::error("UD2010", problem).help(help));
    }
}

/// What roles may allow at most.
fn boundary(boundary: Option<&str>, sink: &mut Sink) {
    let letters = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    let is_name = |name: &str| (1..=128).contains(&name.len()) && name.chars().all(letters);
    let is_arn =
        |arn: &str| arn.starts_with("arn:") && arn.splitn(6, ':').nth(5).is_some_and(|end| end.starts_with("policy/"));
    if let Some(wrong) = boundary.filter(|boundary| !is_name(boundary) && !is_arn(boundary)) {
        let message = format!("`[target.aws-lambda] permissions_boundary = \"{wrong}\"` names no policy");
        let help = "a name of letters, digits and `+=,.@_-`, or an ARN: `arn:aws:iam::123456789012:policy/…`";
        sink.push(Diagnostic::error("UD2010", message).help(help));
    }
}

/// Where functions with a database are put.
fn network(database: &LambdaDatabase, sink: &mut Sink) {
    let mut refuse = |problem: String, help: &str| {
        sink.push(Diagnostic::error("UD2010", format!("`[target.aws-lambda.database]` {problem}")).help(help));
    };
    let lists = [
        ("subnets", &database.subnets, "subnet-", MOST_SUBNETS),
        ("security_groups", &database.security_groups, "sg-", MOST_SECURITY_GROUPS),
    ];
    for (key, ids, start, most) in lists {
        if ids.len() > most {
            refuse(format!("names {} in `{key}`", ids.len()), &format!("Lambda takes {most} at most"));
        }
        for id in ids.iter().filter(|id| id.strip_prefix(start).is_none_or(str::is_empty)) {
            refuse(format!("names `{id}` in `{key}`"), &format!("its ids begin with `{start}`"));
        }
    }
    if database.subnets.is_empty() != database.security_groups.is_empty() {
        let help = "Lambda wants subnets and security groups; without both, functions stay outside of any network";
        refuse("says only half of where functions are put".to_owned(), help);
    }
    if database.connections == Some(0) {
        refuse("leaves a function without a connection".to_owned(), "1 or more, which is the default");
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, findings},
    };
    use updraft_model::settings::{Entry, LambdaFunction, Package, Throttle};

    #[test]
    fn numbers_that_aws_does_not_know() {
        let mut plan = fixture::shop();
        plan.settings.aws_lambda.log_retention_days = Some(10);
        let found = findings(&plan);
        assert_eq!(found[0].help.as_deref(), Some("the next that it takes is 14"));
        plan.settings.aws_lambda.throttle = Throttle { rate: Some(0), burst: None };
        let function = LambdaFunction { memory: Some(64), concurrency: Some(1), reserved: None };
        plan.settings.aws_lambda.functions.insert("*".into(), function);
        assert_eq!(codes(&plan), ["UD2010"; 4]);
    }

    #[test]
    fn a_throttle_that_nobody_keeps_to() {
        let mut plan = fixture::in_one_unit();
        plan.settings.aws_lambda.http = Entry::FunctionUrl;
        assert_eq!(codes(&plan), Vec::<&str>::new());
        plan.settings.aws_lambda.throttle.burst = Some(9);
        assert_eq!(codes(&plan), ["UD2010"]);
    }

    #[test]
    fn more_at_a_time_than_there_are() {
        let mut plan = fixture::shop();
        let function = LambdaFunction { memory: None, concurrency: Some(5), reserved: Some(4) };
        plan.settings.aws_lambda.functions.insert("shop-orders-ship".into(), function);
        assert_eq!(codes(&plan), ["UD2010"]);
    }

    #[test]
    fn a_boundary_is_a_policy() {
        for (boundary, expected) in [
            ("shop-boundary", vec![]),
            ("arn:aws:iam::123456789012:policy/team/shop", vec![]),
            ("", vec!["UD2010"]),
            ("team/shop", vec!["UD2010"]),
            ("arn:aws:iam::123456789012:role/shop", vec!["UD2010"]),
        ] {
            let mut plan = fixture::shop();
            plan.settings.aws_lambda.permissions_boundary = Some(boundary.to_owned());
            assert_eq!(codes(&plan), expected, "{boundary}");
        }
    }

    #[test]
    fn half_of_a_network() {
        let mut plan = fixture::shop();
        let database = &mut plan.settings.aws_lambda.database;
        database.subnets = vec!["subnet-1".into(), "vpc-1".into()];
        database.connections = Some(0);
        assert_eq!(codes(&plan), ["UD2010"; 3]);
        let database = &mut plan.settings.aws_lambda.database;
        (database.subnets, database.security_groups) = (vec!["subnet-1".into()], vec!["sg-1".into()]);
        database.connections = Some(1);
        assert_eq!(codes(&plan), Vec::<&str>::new());
        let database = &mut plan.settings.aws_lambda.database;
        (database.subnets, database.security_groups) = (vec!["subnet-1".into(); 17], vec!["sg-1".into(); 6]);
        assert_eq!(codes(&plan), ["UD2010"; 2]);
    }

    #[test]
    fn a_repository_that_can_hold_nothing() {
        let mut plan = fixture::shop();
        plan.settings.aws_lambda.repository = Some("team/shop".into());
        assert_eq!(codes(&plan), ["UD2010"], "code is a zip");
        plan.settings.aws_lambda.package = Package::Image;
        assert_eq!(codes(&plan), Vec::<&str>::new());
        for wrong in ["s", "Shop", "shop//eu", "/shop", "shop-", "shop:1", "1.dkr.ecr.eu-central-1.amazonaws.com/ shop"]
        {
            plan.settings.aws_lambda.repository = Some(wrong.into());
            assert_eq!(codes(&plan), ["UD2010"], "{wrong}");
        }
    }

    #[test]
    fn a_unit_that_there_is_not() {
        let mut plan = fixture::shop();
        plan.settings.aws_lambda.functions.insert("ship".into(), LambdaFunction::default());
        assert_eq!(codes(&plan), ["UD2010"]);
    }
}
