//! `cargo updraft invoke`: calls one handler, of the program that runs here or of one started for the call.

use super::check;
use crate::args::Global;
use crate::dev;
use crate::dev::control::{Answer, Kind, Request};
use crate::exit::{Failure, Result};
use crate::report::Reporter;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use updraft_model::Trigger;

/// Calls a handler: of the running program, else of one started for the call
#[derive(Debug, clap::Args)]
pub(crate) struct Invoke {
    /// The handler's id, or the end of it: `shop::orders::ship`, `ship`
    handler: String,
    /// Its input as JSON: a message; a function's arguments by name; for a route an object of path parameters, and of what
    /// else it takes (the body, or the query of a `get`)
    json: Option<String>,
    /// A header of the request, for a route; may be given several times
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
}

pub(crate) fn run(command: &Invoke, global: &Global, reporter: &Reporter) -> Result {
    let project = dev::project(global)?;
    let checked = check::check_quietly(&project, global, reporter)?;
    let id = dev::find(&command.handler, checked.app.handlers.iter().map(|one| one.id.as_str()), "handler")?.to_owned();
    let input: Option<Value> = match &command.json {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| Failure::Usage(format!("the input: {error}")))?),
        None => None,
    };
    let request = match checked.app.handler(&id).map(|one| &one.trigger) {
        Some(Trigger::Http { method, path }) => request(method, path, input, &command.header)?,
        _ if !command.header.is_empty() => {
            return Err(Failure::Usage(format!("{id} is no route: it takes no headers")));
        }
        _ => Request::Invoke { handler: id, input: input.unwrap_or(Value::Null) },
    };
    let answer = dev::with_program(project, checked, global, reporter, |ask| ask(&request))?;
    show(&request, answer, reporter)
}

/// Makes a request out of a route and JSON: path parameters are taken out of an object, the rest is the body, or the query
/// where a method has no body.
fn request(method: &str, path: &str, input: Option<Value>, headers: &[String]) -> Result<Request> {
    let mut rest = input;
    let mut uri = String::new();
    for segment in path.split_inclusive('/') {
        let (name, slash) = segment.strip_suffix('/').map_or((segment, ""), |name| (name, "/"));
        match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => {
                let (name, keep) = name.strip_prefix('*').map_or((name, ""), |name| (name, "/"));
                let object = rest.as_mut().and_then(Value::as_object_mut);
                let value = object.and_then(|object| object.remove(name)).ok_or_else(|| {
                    Failure::Usage(format!("{path} needs `{name}`: give it as a key of the input, {{\"{name}\": …}}"))
                })?;
                uri.push_str(&encode(&plain(&value), keep));
            }
            None => uri.push_str(name),
        }
        uri.push_str(slash);
    }
    let mut all = BTreeMap::new();
    for header in headers {
        let (name, value) =
            header.split_once(':').ok_or_else(|| Failure::Usage(format!("`{header}` is no header: NAME: VALUE")))?;
        all.insert(name.trim().to_lowercase(), value.trim().to_owned());
    }
    let mut body = String::new();
    match rest {
        Some(Value::Object(query)) if matches!(method, "get" | "head" | "delete" | "options") => {
            uri.push_str(&as_query(&query));
        }
        Some(Value::Object(empty)) if empty.is_empty() && path.contains('{') => {}
        Some(value) => {
            body = value.to_string();
            all.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
        }
        None => {}
    }
    Ok(Request::Route { method: method.to_uppercase(), uri, headers: all, body })
}

fn as_query(values: &Map<String, Value>) -> String {
    let pairs: Vec<String> =
        values.iter().map(|(name, value)| format!("{}={}", encode(name, ""), encode(&plain(value), ""))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Percent-encodes all but what every part of a URI takes, and `keep`.
fn encode(text: &str, keep: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let char = char::from(byte);
        if char.is_ascii_alphanumeric() || "-._~".contains(char) || keep.contains(char) {
            out.push(char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The result on standard output; what failed on standard error.
fn show(request: &Request, answer: Answer, reporter: &Reporter) -> Result {
    let ok = match answer {
        Answer::Ok { ok } => ok,
        Answer::Error { error, kind: Kind::Usage } => return Err(Failure::Usage(error)),
        Answer::Error { error, kind: Kind::Failed } => return Err(Failure::Failed(error)),
    };
    let Request::Route { .. } = request else {
        if !ok.is_null() {
            reporter.result(&format!("{ok:#}"));
        }
        return Ok(());
    };
    let status = ok["status"].as_u64().unwrap_or_default();
    reporter.status("Answered", &status);
    let body = ok["body"].as_str().unwrap_or_default();
    match serde_json::from_str::<Value>(body) {
        Ok(json) => reporter.result(&format!("{json:#}")),
        Err(_) if body.is_empty() => {}
        Err(_) => reporter.result(body),
    }
    if status < 400 { Ok(()) } else { Err(Failure::Failed(format!("the route answered {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn uri_and_body(method: &str, path: &str, input: Option<Value>) -> Result<(String, String), String> {
        match request(method, path, input, &[]) {
            Ok(Request::Route { uri, body, .. }) => Ok((uri, body)),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn input_becomes_path_query_and_body() {
        let made = |method, path, input| uri_and_body(method, path, input).expect("a request");
        let pair = |uri: &str, body: &str| (uri.to_owned(), body.to_owned());
        assert_eq!(made("post", "/orders", Some(json!({"id": "o"}))), pair("/orders", r#"{"id":"o"}"#));
        assert_eq!(made("get", "/orders/{id}", Some(json!({"id": "a b/c"}))), pair("/orders/a%20b%2Fc", ""));
        assert_eq!(made("get", "/a/{id}/b", Some(json!({"id": 1, "q": "ä"}))), pair("/a/1/b?q=%C3%A4", ""));
        assert_eq!(made("get", "/f/{*rest}", Some(json!({"rest": "a/b"}))), pair("/f/a/b", ""));
        assert_eq!(made("put", "/o/{id}", Some(json!({"id": "x", "n": 1}))), pair("/o/x", r#"{"n":1}"#));
        assert_eq!(made("post", "/o/{id}", Some(json!({"id": "x"}))), pair("/o/x", ""));
        assert_eq!(made("post", "/list", Some(json!([1, 2]))), pair("/list", "[1,2]"));
        assert!(uri_and_body("get", "/orders/{id}", None).unwrap_err().contains("needs `id`"));
    }
}
