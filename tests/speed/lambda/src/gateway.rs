//! An HTTP API's requests and answers, payload format 2.0: what the programs need of them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub raw_path: String,
    pub request_context: Context,
    pub body: Option<String>,
}

#[derive(Deserialize)]
pub struct Context {
    pub http: Line,
}

#[derive(Deserialize)]
pub struct Line {
    pub method: String,
}

impl Request {
    pub fn method(&self) -> &str {
        &self.request_context.http.method
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    headers: BTreeMap<&'static str, &'static str>,
    body: String,
    is_base64_encoded: bool,
}

#[allow(dead_code, reason = "each program uses some of them")]
impl Answer {
    fn of(status_code: u16, content_type: &'static str, body: String) -> Self {
        Answer {
            status_code,
            headers: BTreeMap::from([("content-type", content_type)]),
            body,
            is_base64_encoded: false,
        }
    }

    pub fn text(body: String) -> Self {
        Self::of(200, "text/plain; charset=utf-8", body)
    }

    pub fn json(body: String) -> Self {
        Self::of(200, "application/json", body)
    }

    pub fn not_found() -> Self {
        Self::of(404, "text/plain; charset=utf-8", "nothing is here".to_owned())
    }
}
