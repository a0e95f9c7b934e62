//! Routes that can't stand beside each other.

use super::{Context, Rule};
use updraft_model::{Diagnostic, Handler, Sink, Trigger};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0206",
        title: "two routes conflict",
        text: "Two handlers answer the same requests: the same method and the same path, whatever its parameters are called. \
               Paths that differ only in their parameters' names are refused for different methods too, since one place in a path has one name. \
               A text wins over `{id}`, so `/orders/new` beside `/orders/{id}` is fine; `{*rest}` beside `{id}` at the same place is not.",
        wrong: "#[http(get, \"/orders/{id}\")]\nasync fn order() -> String { String::new() }\n#[http(get, \"/orders/{sku}\")]\nasync fn of_item() -> String { String::new() }",
        right: "#[http(get, \"/orders/{id}\")]\nasync fn order() -> String { String::new() }\n#[http(get, \"/orders/by-item/{sku}\")]\nasync fn of_item() -> String { String::new() }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let routes = context.app.handlers.iter().filter_map(|handler| match &handler.trigger {
        Trigger::Http { method, path } => Some((handler, method.as_str(), path.as_str())),
        Trigger::Consumer { .. }
        | Trigger::Subscriber { .. }
        | Trigger::Schedule { .. }
        | Trigger::Object { .. }
        | Trigger::Function { .. }
        | Trigger::Routes { .. }
        | Trigger::Layer { .. }
        | Trigger::Shared { .. } => None,
    });
    let mut routes: Vec<(&Handler, &str, &str)> = routes.collect();
    routes.sort_by(|a, b| (&a.0.place, a.2).cmp(&(&b.0.place, b.2)));
    let split: Vec<Vec<Segment<'_>>> = routes.iter().map(|(_, _, path)| segments(path).collect()).collect();
    for (at, (one, method, path)) in routes.iter().enumerate() {
        for (before, (other, other_method, other_path)) in routes[..at].iter().enumerate() {
            let message = if path == other_path {
                if method != other_method {
                    continue;
                }
                format!("two handlers answer {} {path}", method.to_uppercase())
            } else if overlap(&split[at], &split[before]) {
                format!("the routes {path} and {other_path} conflict")
            } else {
                continue;
            };
            let place = |handler: &Handler| context.lowered.triggers.get(&handler.id).unwrap_or(&handler.place).clone();
            let same_shape = path.split('/').count() == other_path.split('/').count()
                && !path.contains("{*")
                && !other_path.contains("{*");
            let help = if path == other_path {
                "change the path or the method of one".to_owned()
            } else if same_shape {
                format!(
                    "the same path has the same parameters' names everywhere: write {other_path} here too, or change the path"
                )
            } else {
                "`{*rest}` would take what the other takes: put a text before one of them".to_owned()
            };
            sink.push(
                Diagnostic::error(RULE.page.code, message)
                    .label(&place(one), format!("{} {path}", method.to_uppercase()))
                    .label(&place(other), format!("{} {other_path}", other_method.to_uppercase()))
                    .help(help),
            );
        }
    }
}

/// What stands between two slashes, as far as it matters here.
#[derive(PartialEq, Eq)]
enum Segment<'a> {
    Text(&'a str),
    Parameter,
    Rest,
}

fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    path.split('/').map(|text| match text.strip_prefix('{') {
        Some(inner) if inner.starts_with('*') => Segment::Rest,
        Some(inner) if !inner.starts_with('{') => Segment::Parameter,
        _ => Segment::Text(text),
    })
}

/// Whether two paths of different text can't both be in one router.
fn overlap(one: &[Segment<'_>], other: &[Segment<'_>]) -> bool {
    let (mut one, mut other) = (one.iter(), other.iter());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(Segment::Rest), Some(Segment::Rest | Segment::Parameter))
            | (Some(Segment::Parameter), Some(Segment::Rest)) => {
                return true;
            }
            (Some(one), Some(other)) if one == other => {}
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Segment, segments};

    fn overlap(one: &str, other: &str) -> bool {
        let (one, other): (Vec<Segment<'_>>, Vec<Segment<'_>>) = (segments(one).collect(), segments(other).collect());
        super::overlap(&one, &other)
    }

    #[test]
    fn as_the_router_decides() {
        for (one, other, conflict) in [
            ("/a/{x}", "/a/{y}", true),
            ("/a/{x}/b", "/a/{y}/c", false),
            ("/a/{x}/b", "/a/{y}/b", true),
            ("/a/{x}", "/a/b", false),
            ("/cmd/{*path}", "/cmd/{tool}/{sub}", true),
            ("/cmd/{*path}", "/cmd/vet", false),
            ("/{*a}", "/{*b}", true),
            ("/{*a}", "/", false),
            ("/a", "/a/", false),
        ] {
            assert_eq!(overlap(one, other), conflict, "{one} {other}");
            assert_eq!(overlap(other, one), conflict, "{other} {one}");
        }
    }
}
