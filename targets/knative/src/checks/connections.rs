//! UW1003: more connections than a database's server allows.

use super::Subject;
use crate::connections::{Demand, demands};
use crate::names::Names;
use crate::resources::policies::bound;
use crate::services::services;
use std::collections::BTreeMap;
use updraft_model::{Diagnostic, Explain, Kind, Resource, Sink};
use updraft_wire::binding::Engine;
use updraft_wire::defaults::{POSTGRES_CONNECTIONS, POSTGRES_RESERVED_CONNECTIONS};

pub(crate) const EXPLAIN: Explain = Explain {
    code: "UW1003",
    title: "more connections than a database allows",
    text: "\
Each pod has connections of its own to each database that its unit reaches: 4 for handlers that write, 4 for those that only
read, 2 for the outbox. With every unit at its most pods (20 unless the settings say otherwise) that is more than the server
allows, so that under load some find none: requests are then answered with 503, and pods that start don't become ready.
PostgreSQL allows 100 unless it was set up otherwise, 3 of them for superusers alone.

```toml
[bindings]
database = { engine = \"postgres\", url_secret = \"postgres-url\" }
```

Fewer pods, fewer connections each, or a server that allows more:

```toml
[bindings]
database = { engine = \"postgres\", url_secret = \"postgres-url\", max_connections = 3, server_connections = 200 }

[target.knative.scale]
max = 5
```

`max_connections` is of one process and one access. `server_connections` is what the server is set up for
(PostgreSQL's own `max_connections`), or what a pooler in front of it takes; it sets nothing up. Databases whose URL is the same
secret's are counted together. While one revision replaces another, up to twice as many connections are open.
",
};

pub(crate) fn check(subject: &Subject<'_>, sink: &mut Sink) {
    let names = Names::new(subject.app, subject.settings);
    let services = services(subject.app, subject.units, &names);
    // By the secret that holds the URL: what has one URL has one server.
    let mut servers: BTreeMap<&str, (u64, Vec<(&Resource, Vec<Demand>)>)> = BTreeMap::new();
    for (database, _) in subject.used().into_iter().filter(|(resource, _)| resource.kind == Kind::Database) {
        let Some(bound) = bound(subject.settings, Kind::Database, &database.id) else { continue };
        let Engine::Postgres { url_secret, .. } = &bound.engine else { continue };
        let allowed = u64::from(bound.server_connections.unwrap_or(POSTGRES_CONNECTIONS));
        let allowed = allowed.saturating_sub(POSTGRES_RESERVED_CONNECTIONS.into());
        let (least, databases) = servers.entry(url_secret).or_insert((allowed, Vec::new()));
        *least = allowed.min(*least);
        databases.push((database, demands(&database.id, &services, subject.settings)));
    }
    for (allowed, databases) in servers.into_values() {
        let demands = || databases.iter().flat_map(|(_, demands)| demands);
        let all: u64 = demands().map(Demand::all).sum();
        if all <= allowed {
            continue;
        }
        let ids: Vec<_> = databases.iter().map(|(database, _)| database.id.as_str()).collect();
        let message = format!(
            "at their largest, units open {all} connections to {}, and its server allows {allowed}",
            ids.join(", ")
        );
        let mut diagnostic = Diagnostic::warning("UW1003", message);
        for (database, demands) in &databases {
            let of = |demand: &Demand| format!("{} {} × {}", demand.service, demand.pods, demand.each);
            let sum: Vec<_> = demands.iter().map(of).collect();
            diagnostic = diagnostic.label(&database.place, format!("pods × connections: {}", sum.join(", ")));
        }
        let fitting = allowed / demands().map(|demand| demand.each).sum::<u64>().max(1);
        let fewer = match fitting {
            0 => "fewer `max_connections` in the binding and fewer pods under [target.knative.scale]".to_owned(),
            most => format!("`max = {most}` under [target.knative.scale], fewer `max_connections` in the binding"),
        };
        let needed = all + u64::from(POSTGRES_RESERVED_CONNECTIONS);
        let more = format!("`server_connections = {needed}` there if the server is set up for so many");
        sink.push(diagnostic.help(format!("{fewer}, or {more}")));
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture;
    use crate::checks::tests::{codes, findings};
    use updraft_model::Plan;
    use updraft_model::settings::{BoundEngine, Scale};
    use updraft_wire::binding::Engine;

    /// The unit `web` reads a database: 4 connections and the outbox's 2.
    fn books(pods: u32, pool: Option<u32>, server: Option<u32>) -> Plan {
        let mut plan = fixture::with_books();
        plan.settings.knative.scale.insert("*".into(), Scale { max: Some(pods), ..Scale::default() });
        let engine = Engine::Postgres { url_secret: "postgres-url".into(), max_connections: pool };
        let bound = BoundEngine { engine, network: None, server_connections: server };
        plan.settings.bindings.insert("database".into(), bound);
        plan
    }

    #[test]
    fn what_fits_and_what_does_not() {
        for (pods, pool, server, fits) in [
            (16, None, None, true),
            (17, None, None, false),
            (17, Some(3), None, true),
            (17, None, Some(105), true),
            (17, None, Some(104), false),
            (1, Some(200), None, false),
            (1, None, Some(1), false),
        ] {
            let expected: &[&str] = if fits { &[] } else { &["UW1003"] };
            assert_eq!(codes(&books(pods, pool, server)), expected, "{pods} {pool:?} {server:?}");
        }
    }

    #[test]
    fn says_who_opens_how_many_and_what_fits() {
        let found = findings(&books(20, None, None));
        assert_eq!(found[0].message, "at their largest, units open 120 connections to books, and its server allows 97");
        assert_eq!(found[0].labels[0].text, "pods × connections: web 20 × 6");
        assert_eq!(
            found[0].help.as_deref(),
            Some(
                "`max = 16` under [target.knative.scale], fewer `max_connections` in the binding, or `server_connections = \
                 123` there if the server is set up for so many"
            )
        );
    }

    #[test]
    fn databases_of_one_url_share_a_server() {
        let mut plan = books(10, None, None);
        assert_eq!(codes(&plan), Vec::<&str>::new());
        let mut other = plan.app.resources.iter().find(|resource| resource.id == "books").unwrap().clone();
        other.id = "archive".into();
        plan.app.resources.push(other);
        let handler = plan.app.handlers.iter_mut().find(|handler| handler.id == "shop::tax::owed").unwrap();
        let mut grant = handler.grants.first().unwrap().clone();
        grant.resource = "archive".into();
        handler.grants.insert(grant);
        assert_eq!(codes(&plan), ["UW1003"]);
        let elsewhere = Engine::Postgres { url_secret: "archive-url".into(), max_connections: None };
        let elsewhere = BoundEngine { engine: elsewhere, network: None, server_connections: None };
        plan.settings.resource_bindings.insert("archive".into(), elsewhere);
        assert_eq!(codes(&plan), Vec::<&str>::new());
    }
}
