//! UW2002: more connections than a database's server allows.

use super::Subject;
use crate::units::{Function, connections};
use std::collections::BTreeSet;
use updraft_model::{Access, Diagnostic, Explain, Kind, Sink};
use updraft_wire::defaults::{POSTGRES_CONNECTIONS, POSTGRES_RESERVED_CONNECTIONS};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UW2002",
    title: "more connections than a database allows",
    text: "\
Each environment of a function has a connection of its own to each database that its unit reaches, one more if some handlers
only read, and AWS makes as many environments as there are events at a time: by default up to the account's limit, which is a
thousand. A server that has no connection left refuses, so that requests are answered with 503, messages come again, and
functions don't start. PostgreSQL allows 100 unless it was set up otherwise, 3 of them for superusers alone.

```rust
#[database]
pub struct Ledger;
```

Keep as many environments as there are connections for:

```toml
[target.aws-lambda.functions]
reserved = 10
```

or say what the server, or a pooler in front of it, takes:

```toml
[target.aws-lambda.database]
server_connections = 1000
```

`connections` there is what one environment has at most, with one access (1): a handler that asks for a second one while it
holds a transaction needs 2.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let settings = &subject.settings.aws_lambda;
    let server = settings.database.server_connections.unwrap_or(POSTGRES_CONNECTIONS);
    let allowed = u64::from(server.saturating_sub(POSTGRES_RESERVED_CONNECTIONS));
    for database in subject.resources(Kind::Database) {
        let (mut all, mut unbounded, mut sum) = (0, Vec::new(), Vec::new());
        for unit in subject.units {
            let function = Function::new(subject.app, unit);
            let grants = function.runs.iter().flat_map(|handler| &handler.grants);
            let grants = grants.filter(|grant| grant.kind == Kind::Database && grant.resource == database.id);
            // Sessions that only read are a pool of their own.
            let pools: BTreeSet<bool> = grants.map(|grant| grant.access == Access::Read).collect();
            let each = pools.len() as u64 * u64::from(connections(subject.settings));
            match settings.function(&unit.id).reserved {
                _ if pools.is_empty() => {}
                None => unbounded.push(unit.id.as_str()),
                Some(reserved) => {
                    all += u64::from(reserved) * each;
                    sum.push(format!("{} {reserved} × {each}", unit.id));
                }
            }
        }
        let problem = match &unbounded[..] {
            [] if all <= allowed => continue,
            [] => (
                format!("functions open {all} connections to {} at most, and its server allows {allowed}", database.id),
                format!("environments × connections: {}", sum.join(", ")),
            ),
            units => (
                format!(
                    "functions may open any number of connections to {}, and its server allows {allowed}",
                    database.id
                ),
                format!("no `reserved` for {}", units.join(", ")),
            ),
        };
        let help = "`reserved` in [target.aws-lambda.functions] or in that of a unit, or `server_connections` in \
                    [target.aws-lambda.database] if the server is set up for more";
        sink.push(Diagnostic::warning("UW2002", problem.0).label(&database.place, problem.1).help(help));
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture;
    use crate::checks::tests::{codes, findings};
    use updraft_model::Plan;
    use updraft_model::settings::LambdaFunction;

    fn reserved(plan: &mut Plan, reserved: u32) {
        let function = LambdaFunction { reserved: Some(reserved), ..LambdaFunction::default() };
        plan.settings.aws_lambda.functions.insert("*".into(), function);
    }

    #[test]
    fn as_many_environments_as_there_are_connections() {
        let mut plan = fixture::with_books();
        let found = findings(&plan);
        assert_eq!((found.len(), found[0].code), (1, "UW2002"));
        assert_eq!(found[0].labels[0].text, "no `reserved` for shop-orders-get-order, shop-orders-place-order");
        reserved(&mut plan, 48);
        assert_eq!(codes(&plan), Vec::<&str>::new(), "48 × 2 are 96");
        reserved(&mut plan, 49);
        let found = findings(&plan);
        assert_eq!(found[0].message, "functions open 98 connections to books at most, and its server allows 97");
        plan.settings.aws_lambda.database.server_connections = Some(101);
        assert_eq!(codes(&plan), Vec::<&str>::new());
        plan.settings.aws_lambda.database.connections = Some(2);
        assert_eq!(codes(&plan), ["UW2002"]);
    }
}
