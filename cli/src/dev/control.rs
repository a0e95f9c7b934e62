//! Talks to a running program through the socket in its state folder, which only its user may open: one line of JSON there,
//! one back.

use crate::exit::{Failure, Result};
use crate::project::Project;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What a program can be asked.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Whether it is there.
    Ping,
    /// Runs a handler with this message or these arguments.
    Invoke {
        /// Its whole id.
        handler: String,
        /// `null` where it takes nothing.
        input: Value,
    },
    /// Dead letters: what to do with which.
    DeadLetters {
        /// In the words of the runtime's `selection`.
        command: Value,
    },
    /// Sends a request to its routes.
    #[serde(rename = "request")]
    Route {
        /// `POST`.
        method: String,
        /// Path and query.
        uri: String,
        /// By name.
        headers: BTreeMap<String, String>,
        /// As text.
        body: String,
    },
}

/// What it answers.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// It did it.
    Ok {
        /// The result.
        ok: Value,
    },
    /// It did not.
    Error {
        /// Why.
        error: String,
        /// Whether the question was wrong or the handler failed.
        kind: Kind,
    },
}

/// Whose fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The question's.
    Usage,
    /// The handler's.
    Failed,
}

/// Where the socket lies.
pub(crate) fn socket(project: &Project) -> PathBuf {
    let state = env::var_os("UPDRAFT_STATE_DIR").filter(|folder| !folder.is_empty());
    state.map_or_else(|| project.package_dir().join(".updraft"), PathBuf::from).join("control.sock")
}

/// Asks the program that listens there; `None` if nobody does.
///
/// # Errors
/// Somebody listens and does not answer as expected.
pub(crate) fn ask(socket: &Path, request: &Request) -> Result<Option<Answer>> {
    let said = |error: &dyn std::fmt::Display| Failure::Outside(format!("{}: {error}", socket.display()));
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(said(&error)),
    };
    let mut line = serde_json::to_vec(request).map_err(|error| said(&error))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|error| said(&error))?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(|error| said(&error))?;
    if answer.is_empty() {
        return Err(said(&"the program ended before it answered"));
    }
    serde_json::from_str(&answer).map(Some).map_err(|error| said(&format!("no answer that makes sense: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_words_are_those_of_the_runtime() {
        let invoke = Request::Invoke { handler: "shop::ship".to_owned(), input: json!({"id": 1}) };
        let expected = json!({"do": "invoke", "handler": "shop::ship", "input": {"id": 1}});
        assert_eq!(serde_json::to_value(&invoke).expect("JSON"), expected);
        assert_eq!(serde_json::to_value(Request::Ping).expect("JSON"), json!({"do": "ping"}));
        let error: Answer = serde_json::from_str(r#"{"error":"no such handler","kind":"usage"}"#).expect("an answer");
        assert!(matches!(error, Answer::Error { kind: Kind::Usage, .. }));
        let ok: Answer = serde_json::from_str(r#"{"ok":null}"#).expect("an answer");
        assert!(matches!(ok, Answer::Ok { ok: Value::Null }));
    }

    #[test]
    fn nobody_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(ask(&folder.path().join("control.sock"), &Request::Ping).expect("no failure").is_none());
    }
}
