//! An answer, and what it says if it is a no.

use super::{Ask, Service};
use crate::error::Refusal;
use bytes::Bytes;
use serde_json::Value;
use updraft_wire::xml;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where the bucket is, that was asked for here.
    pub(crate) region: Option<String>,
    /// Where to go on.
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request may get another answer.
    pub(super) fn may_change(&self) -> bool {
        let (code, message) = self.said();
        let codes = [
            "InternalError",
            "InternalFailure",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ];
        self.status >= 500 || self.status == 429 || codes.contains(&&*code) || message.contains("Rate exceeded")
    }

    pub(super) fn refusal(&self, ask: &Ask) -> Refusal {
        let (code, mut message) = self.said();
        if message.is_empty() {
            message = match (&self.region, ask.service) {
                (Some(region), Service::S3) if self.status == 301 => format!("the bucket is in {region}"),
                _ => format!("HTTP {}", self.status),
            };
        }
        Refusal { action: format!("{}:{}", ask.service.name(), ask.action), status: self.status, code, message }
    }

    /// The error's code and message.
    fn said(&self) -> (String, String) {
        json(&self.body).or_else(|| xml::error(&self.body)).unwrap_or_default()
    }
}

/// `{"__type": "com.amazonaws.x#ResourceNotFoundException", "message": …}`, or a registry's `{"errors": [{"code": …, …}]}`.
fn json(body: &[u8]) -> Option<(String, String)> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let value = value.pointer("/errors/0").unwrap_or(&value);
    let text = |names: [&str; 2]| names.iter().find_map(|name| value.get(name)?.as_str()).unwrap_or_default();
    let code = text(["__type", "code"]).rsplit('#').next().unwrap_or_default();
    Some((code.to_owned(), text(["message", "Message"]).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};

    fn ask(service: Service) -> Ask {
        Ask {
            service,
            action: "Do",
            method: Method::GET,
            url: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, region: None, location: None, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn errors_are_read_in_each_of_their_forms() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no &amp; no</Message></Error></ErrorResponse>";
        let refusal = answer(403, xml).refusal(&ask(Service::CloudFormation));
        assert_eq!((&*refusal.action, &*refusal.message), ("cloudformation:Do", "no & no"));
        assert!(refusal.is_denied() && !refusal.is_of_credentials());
        let json = r#"{"__type":"x#ResourceNotFoundException","Message":"gone"}"#;
        assert_eq!(answer(400, json).refusal(&ask(Service::Sts)).code, "ResourceNotFoundException");
        let moved = Answer { region: Some("eu-west-1".into()), ..answer(301, "") };
        assert_eq!(moved.refusal(&ask(Service::S3)).message, "the bucket is in eu-west-1");
        assert!(answer(403, "").refusal(&ask(Service::S3)).is_denied());
        let of_a_registry = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no repository","detail":{}}]}"#;
        let refusal = answer(404, of_a_registry).refusal(&ask(Service::Ecr));
        assert_eq!((&*refusal.code, &*refusal.message), ("NAME_UNKNOWN", "no repository"));
    }

    #[test]
    fn what_is_asked_again() {
        let throttled =
            "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
        assert!(answer(400, throttled).may_change());
        assert!(answer(503, "").may_change());
        assert!(!answer(403, "").may_change() && !answer(404, "").may_change());
    }
}
