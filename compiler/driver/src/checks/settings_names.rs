//! Settings for resources that the program does not have.

use super::{Context, Rule};
use crate::settings::Names;
use updraft_model::{Diagnostic, Sink};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0210",
        title: "Updraft.toml speaks of a resource that does not exist",
        text: "Tables such as `[secrets.<id>]`, `[config.<id>]`, `[bindings.resource.<id>]` and `[dev.secrets]` are keyed by resources' ids: \
               the type's name in kebab case, or its `name = \"…\"`. One that fits no resource would silently do nothing.",
        wrong: "//- src/main.rs\nuse updraft::prelude::*;\n#[secret]\nstruct MailerKey;\n#[http(get, \"/\")]\nasync fn index(key: Secret<MailerKey>) -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[dev.secrets]\nmailer_key = \"none\"",
        right: "//- src/main.rs\nuse updraft::prelude::*;\n#[secret]\nstruct MailerKey;\n#[http(get, \"/\")]\nasync fn index(key: Secret<MailerKey>) -> String { String::new() }\nupdraft::main!();\n//- Updraft.toml\n[dev.secrets]\nmailer-key = \"none\"",
    },
    check,
    needs_all: true,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (what, name, place) in &context.settings.places {
        let kind = match what {
            Names::Resource(kind) => Some(*kind),
            Names::AnyResource => None,
            Names::App | Names::Unit | Names::Member(_) => continue,
        };
        let fitting = context.app.resources.iter().filter(|resource| kind.is_none_or(|kind| resource.kind == kind));
        let ids: Vec<&str> = fitting.map(|resource| resource.id.as_str()).collect();
        // Credentials of engines are secrets that the program itself need not take.
        if ids.contains(&name.as_str()) || kind == Some(updraft_model::Kind::Secret) && is_credential(context, name) {
            continue;
        }
        let what = kind.map_or("resource", |kind| kind.as_str());
        let help = match (updraft_syntax::names::closest(name, ids.iter().copied()), &ids[..]) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, []) => format!("the program has no {what}s; leave it away"),
            (None, ids) => format!("the {what}s are {}", ids.join(", ")),
        };
        sink.push(
            Diagnostic::error(RULE.page.code, format!("the program has no {what} `{name}`"))
                .label(place, "unknown")
                .help(help),
        );
    }
}

fn is_credential(context: &Context<'_>, name: &str) -> bool {
    use updraft_wire::binding::Engine;
    let settings = &context.settings.settings;
    let of_resources = settings.bindings.values().chain(settings.resource_bindings.values());
    let bound = of_resources.chain(&settings.once).chain(&settings.knative.dead_letters);
    bound.map(|bound| &bound.engine).any(|engine| match engine {
        Engine::Redis { url_secret, .. } | Engine::Postgres { url_secret, .. } => url_secret == name,
        Engine::S3 { credentials_secret, .. } => credentials_secret.as_deref() == Some(name),
        Engine::Broker {}
        | Engine::File {}
        | Engine::Value {}
        | Engine::Hosts { .. }
        | Engine::Sqs {}
        | Engine::Sns {}
        | Engine::DynamoDb {}
        | Engine::AwsS3 {}
        | Engine::SecretsManager {}
        | Engine::ParameterStore {} => false,
    })
}
