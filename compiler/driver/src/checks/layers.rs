//! Layers whose order is not said, and adopted routers that stand in each other's place.

use super::{Context, Rule};
use updraft_model::app::is_under;
use updraft_model::{Diagnostic, Handler, Sink, Trigger};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0225",
        title: "layers or adopted routers stand in each other's place",
        text: "Of layers round one route, the one with the lowest `order` is the outermost: it sees a request first. Two of the same `order` round \
               one route say nothing about which is first, so they are refused. An adopted router takes all requests under its prefix, so there is \
               one for a prefix; of two prefixes the longer wins.",
        wrong: "#[layer(\"/\")]\nfn outer() -> impl Layer { todo() }\n#[layer(\"/admin\")]\nfn inner() -> impl Layer { todo() }\n#[http(get, \"/admin/users\")]\nasync fn users() -> String { String::new() }",
        right: "#[layer(\"/\")]\nfn outer() -> impl Layer { todo() }\n#[layer(\"/admin\", order = 1)]\nfn inner() -> impl Layer { todo() }\n#[http(get, \"/admin/users\")]\nasync fn users() -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let place = |handler: &Handler| context.lowered.triggers.get(&handler.id).unwrap_or(&handler.place).clone();
    let (mut layers, mut routers): (Vec<(&Handler, &str, u32)>, Vec<(&Handler, &str)>) = Default::default();
    for handler in &context.app.handlers {
        match &handler.trigger {
            Trigger::Layer { path, order } => layers.push((handler, path, *order)),
            Trigger::Routes { prefix } => routers.push((handler, prefix)),
            Trigger::Http { .. }
            | Trigger::Consumer { .. }
            | Trigger::Subscriber { .. }
            | Trigger::Schedule { .. }
            | Trigger::Object { .. }
            | Trigger::Function { .. }
            | Trigger::Shared { .. } => {}
        }
    }
    layers.sort_by(|a, b| a.0.place.cmp(&b.0.place));
    routers.sort_by(|a, b| a.0.place.cmp(&b.0.place));
    for (at, (one, path, order)) in layers.iter().enumerate() {
        for (other, other_path, other_order) in &layers[..at] {
            if order == other_order && (is_under(path, other_path) || is_under(other_path, path)) {
                sink.push(
                    Diagnostic::error(RULE.page.code, format!("two layers round one route have the order {order}"))
                        .label(&place(one), format!("round {path}"))
                        .label(&place(other), format!("round {other_path}"))
                        .help(format!(
                            "say which comes first, the lower: `#[layer(\"{path}\", order = {})]`",
                            order + 1
                        )),
                );
            }
        }
    }
    for (at, (one, prefix)) in routers.iter().enumerate() {
        for (other, _) in routers[..at].iter().filter(|(_, other)| other == prefix) {
            sink.push(
                Diagnostic::error(RULE.page.code, format!("two routers are adopted under {prefix}"))
                    .label(&place(one), "one")
                    .label(&place(other), "the other")
                    .help("merge them in one function, by axum's `merge`, or give one another prefix"),
            );
        }
    }
}
