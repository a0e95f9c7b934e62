//! UD2001: a kind of resource that this target does not have.

use super::Subject;
use updraft_model::{Diagnostic, Explain, Kind, Sink};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UD2001",
    title: "a database, which the target AWS Lambda does not make",
    text: "\
PostgreSQL on AWS needs a network of its own that functions are put into, and connections that thousands of invocations share.
The target does neither yet.

```rust
#[database]
pub struct Ledger;
```

Keep the data in a store, which is a table of DynamoDB there:

```rust
#[store(key = String, value = Booking)]
pub struct Bookings;
```

or deploy the application to a target with PostgreSQL: `--target knative`.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    for database in subject.resources(Kind::Database) {
        let user = subject.app.handlers.iter().find(|handler| {
            handler.grants.iter().any(|grant| grant.kind == Kind::Database && grant.resource == database.id)
        });
        let Some(user) = user else { continue };
        sink.push(
            Diagnostic::error("UD2001", format!("the target AWS Lambda has no engine for database {}", database.id))
                .label(&database.place, "declared here")
                .label(&user.place, "is used here")
                .help("keep the data in a store, or deploy to `--target knative`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::{
        fixture,
        tests::{codes, handler, resource},
    };
    use updraft_model::{Access, Grant, Kind};

    #[test]
    fn a_database_that_is_used() {
        let mut plan = fixture::shop();
        resource(&mut plan, "reports").kind = Kind::Database;
        let report = handler(&mut plan, "shop::reports::nightly_report");
        report.grants.retain(|grant| grant.resource != "reports");
        assert_eq!(codes(&plan), Vec::<&str>::new(), "nobody uses it");
        let report = handler(&mut plan, "shop::reports::nightly_report");
        report.grants.insert(Grant { kind: Kind::Database, resource: "reports".into(), access: Access::Read });
        assert_eq!(codes(&plan), ["UD2001"]);
    }
}
