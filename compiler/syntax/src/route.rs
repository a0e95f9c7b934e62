//! Paths of `#[http]` handlers, in axum 0.8's syntax: `/orders/{id}`, `/files/{*rest}`.

use crate::codes;
use crate::cron::part;
use crate::diagnostic::{Diagnostic, Sink};
use syn::LitStr;

/// A valid route.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Route {
    /// As written.
    pub literal: LitStr,
    /// Its segments; none for `/`. A trailing slash is an empty segment at the end.
    pub segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Text(String),
    /// `{name}`: one segment.
    Parameter(String),
    /// `{*name}`: all that is left, at least one character.
    Rest(String),
}

impl Route {
    /// As written.
    pub fn path(&self) -> String {
        self.literal.value()
    }

    /// The names in braces, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) | Segment::Rest(name) => Some(name.as_str()),
            Segment::Text(_) => None,
        })
    }
}

/// Reads a route; everything wrong with it is reported.
pub(crate) fn parse(literal: &LitStr, sink: &mut Sink) -> Option<Route> {
    let path = literal.value();
    let before = sink.len();
    let mut wrong = |range: std::ops::Range<usize>, message: String, label: &str, help: &str| {
        let (start, end) = part(literal, range);
        sink.push(Diagnostic { start, end, ..Diagnostic::new(codes::ROUTE, literal, message).label(label).help(help) });
    };
    let whole = 0..path.len();
    let Some(rest) = path.strip_prefix('/') else {
        wrong(whole, "a route starts with `/`".into(), "no `/`", &format!("write `\"/{path}\"`"));
        return None;
    };
    if path == "/_updraft" || path.starts_with("/_updraft/") {
        wrong(whole, "paths under `/_updraft` are the runtime's own".into(), "taken", "choose another path");
        return None;
    }
    let mut segments = Vec::new();
    let mut at = 1;
    let count = rest.split('/').count();
    for (number, text) in rest.split('/').enumerate() {
        let range = at..at + text.len();
        at = range.end + 1;
        let last = number + 1 == count;
        let braced = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let odd = text.chars().find(|c| !c.is_ascii_graphic() || "?#\\\"<>^`|".contains(*c));
        if text.is_empty() {
            if !last {
                wrong(range, "a route has no empty segment".into(), "`//`", "leave one slash away");
            } else if count > 1 {
                segments.push(Segment::Text(String::new()));
            }
        } else if let Some(inner) = braced {
            let name = inner.strip_prefix('*').unwrap_or(inner);
            let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !valid {
                wrong(
                    range,
                    format!("`{name}` can't name a part of a route"),
                    "no name",
                    "letters, digits and `_`: `{order_id}`",
                );
            } else if segments.iter().any(|s| matches!(s, Segment::Parameter(n) | Segment::Rest(n) if n == name)) {
                wrong(
                    range,
                    format!("`{{{name}}}` stands twice in this route"),
                    "a second time",
                    "give it another name",
                );
            } else if inner.starts_with('*') && !last {
                wrong(
                    range,
                    format!("`{{*{name}}}` takes all that is left, so it comes last"),
                    "not last",
                    "write `{name}` for one segment",
                );
            } else if inner.starts_with('*') {
                segments.push(Segment::Rest(name.to_owned()));
            } else {
                segments.push(Segment::Parameter(name.to_owned()));
            }
        } else if text.contains(['{', '}']) {
            wrong(
                range,
                "a part in braces is a whole segment".into(),
                "more than `{name}`",
                "put slashes round it: `/files/{name}`",
            );
        } else if let Some(name) = text.strip_prefix([':', '*']) {
            let help =
                if text.starts_with(':') { format!("write `{{{name}}}`") } else { format!("write `{{*{name}}}`") };
            wrong(range, "parts of a route are written in braces".into(), "another syntax", &help);
        } else if let Some(odd) = odd {
            wrong(
                range,
                format!("a path can't have {odd:?} in it"),
                "not in a path",
                "percent-encode it, or choose another name",
            );
        } else {
            segments.push(Segment::Text(text.to_owned()));
        }
    }
    (sink.len() == before).then(|| Route { literal: literal.clone(), segments })
}
