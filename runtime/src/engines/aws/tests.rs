//! Against a server that answers as it is told to.

use super::credentials::{Credentials, key};
use super::http::Http;
use super::role::{From, Role};
use super::*;
use crate::engine::{EngineError, EngineResult, SecretEngine};
use ::http::{HeaderMap, Method, StatusCode};
use axum::extract::{Request, State};
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

/// Answers in their order, the last one for ever; and what was asked.
async fn server(answers: Vec<(u16, &'static str)>) -> (String, Seen) {
    async fn answer(
        State((answers, seen)): State<(Arc<Vec<(u16, &'static str)>>, Seen)>,
        request: Request,
    ) -> (StatusCode, &'static str) {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let mut seen = seen.lock().expect("unpoisoned");
        let (status, text) = answers[seen.len().min(answers.len() - 1)];
        seen.push((format!("{} {}", head.method, head.uri), head.headers, body));
        (StatusCode::from_u16(status).expect("a status"), text)
    }
    let seen = Seen::default();
    let router = axum::Router::new().fallback(answer).with_state((Arc::new(answers), seen.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), seen)
}

/// Whatever it is asked for, it says this.
pub(crate) struct OneSecret(pub(crate) &'static str);

impl SecretEngine for OneSecret {
    fn get<'a>(&'a self, _: &'a str) -> crate::engine::BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async { Ok(Some(self.0.to_owned())) })
    }

    fn how_to_provide(&self, _: &str) -> String {
        "set it".to_owned()
    }
}

/// Keys, as a secret holds them.
pub(crate) const SECRET: &str =
    r#"{"access_key_id": "AKID", "secret_access_key": "hush-hush", "session_token": "lent"}"#;

fn service(endpoint: &str) -> Service {
    let account = Account::of_secret("eu-central-1", Arc::new(OneSecret(SECRET)), "aws").expect("an account");
    account.at(endpoint).service("sqs").expect("a service")
}

fn call(repeat: Repeat) -> Call {
    Call { repeat, body: Bytes::from_static(b"{}"), ..Call::new(Method::POST, "/a b") }
}

#[tokio::test]
async fn a_call_is_signed_and_shows_no_secret() {
    let (endpoint, seen) = server(vec![(200, "done")]).await;
    let answer = service(&endpoint).ask(&call(Repeat::Always).query("x", "ü&")).await.expect("an answer");
    assert_eq!(answer.expect("a success"), "done");
    let seen = seen.lock().expect("unpoisoned");
    let (line, headers, body) = &seen[0];
    assert_eq!((&**line, &body[..]), ("POST /a%20b?x=%C3%BC%26", &b"{}"[..]));
    let signature = headers["authorization"].to_str().expect("text");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{signature}");
    assert!(signature.contains("/eu-central-1/sqs/aws4_request"), "{signature}");
    assert_eq!(headers["x-amz-security-token"], "lent");
    assert!(!format!("{seen:?}").contains("hush"), "{seen:?}");
}

#[tokio::test]
async fn only_what_does_no_harm_is_sent_again() {
    const THROTTLED: &str = r#"{"__type": "com.amazonaws#ThrottlingException", "message": "slower"}"#;
    for (repeat, answers, times, works) in [
        (Repeat::Always, vec![(503, ""), (503, ""), (200, "")], 3, true),
        (Repeat::Always, vec![(500, ""), (200, "")], 2, true),
        (Repeat::Always, vec![(500, "")], 4, false),
        (Repeat::IfUndone, vec![(500, ""), (200, "")], 1, false),
        // Of a gateway's: what stands behind it may have done everything.
        (Repeat::IfUndone, vec![(503, ""), (200, "")], 1, false),
        (Repeat::IfUndone, vec![(503, "<Error><Code>ServiceUnavailable</Code></Error>"), (200, "")], 1, false),
        (Repeat::IfUndone, vec![(429, ""), (200, "")], 2, true),
        (Repeat::IfUndone, vec![(503, "<Error><Code>SlowDown</Code></Error>"), (200, "")], 2, true),
        (Repeat::IfUndone, vec![(400, THROTTLED), (200, "")], 2, true),
        (Repeat::IfUndone, vec![(400, THROTTLED)], 4, false),
        (Repeat::Always, vec![(400, r#"{"__type": "ValidationException"}"#), (200, "")], 1, false),
        (Repeat::Always, vec![(403, ""), (200, "")], 1, false),
    ] {
        let (endpoint, seen) = server(answers.clone()).await;
        let outcome = service(&endpoint).ask(&call(repeat)).await.expect("an answer");
        assert_eq!(outcome.is_ok(), works, "{answers:?}");
        assert_eq!(seen.lock().expect("unpoisoned").len(), times, "{repeat:?} {answers:?}");
    }
}

/// Who hangs up after the request may have done what it asks.
#[tokio::test]
async fn a_connection_that_breaks_is_told_from_one_that_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let taken = Arc::new(Mutex::new(0));
    let count = taken.clone();
    let rude = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            *count.lock().expect("unpoisoned") += 1;
            let _ = connection.read(&mut [0; 4096]).await;
        }
    });
    for (repeat, times) in [(Repeat::IfUndone, 1), (Repeat::Always, 1 + 4)] {
        let error = service(&endpoint).ask(&call(repeat)).await.expect_err("it hangs up");
        assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
        assert!(!error.to_string().contains("hush"), "{error}");
        assert_eq!(*taken.lock().expect("unpoisoned"), times);
    }
    rude.abort();
    let _ = rude.await;
    let error = service(&endpoint).ask(&call(Repeat::IfUndone)).await.expect_err("nobody listens");
    assert!(matches!(&error, EngineError::Unavailable(reason) if reason.contains("sqs at http://127")), "{error}");
}

#[test]
fn errors_are_told_apart() {
    let explained = |status: u16, body: &str| {
        Failure::read(StatusCode::from_u16(status).expect("a status"), body.as_bytes()).explained("the queue")
    };
    for code in ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"] {
        let error = explained(400, &format!(r#"{{"__type": "x#{code}", "Message": "why"}}"#));
        let expected = format!("the queue: 400 Bad Request: {code}: why");
        assert!(matches!(&error, EngineError::Refused(text) if *text == expected), "{error:?}");
    }
    let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>no topic</Message></Error></ErrorResponse>";
    assert!(matches!(explained(400, xml), EngineError::Misconfigured(text) if text.ends_with("NotFound: no topic")));
    assert!(matches!(explained(404, ""), EngineError::Misconfigured(_)));
    assert!(matches!(explained(403, "no XML"), EngineError::Refused(_)));
    assert!(matches!(explained(503, "<Error/>"), EngineError::Unavailable(_)));
    assert!(matches!(explained(400, "<Error><Code>SlowDown</Code></Error>"), EngineError::Unavailable(_)));
    assert!(matches!(explained(400, r#"{"__type": "ValidationException"}"#), EngineError::Other(_)));
}

#[test]
fn a_services_own_address_beats_that_of_all() {
    let at = |given: Option<&str>, set: &'static [(&str, &str)]| {
        let variable = |name: &str| Some(set.iter().find(|(key, _)| *key == name)?.1.to_owned());
        account::address(given, variable, "secretsmanager", "eu-1")
    };
    let all = [("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://own")];
    let all: &'static [_] = Box::leak(Box::new(all));
    assert_eq!(at(None, all), "http://own");
    assert_eq!(at(None, &all[..1]), "http://all");
    assert_eq!(at(Some("http://given"), all), "http://given");
    assert_eq!(at(None, &[]), "https://secretsmanager.eu-1.amazonaws.com");
}

#[test]
fn an_address_that_is_none_is_refused() {
    let account = Account::of_secret("eu-central-1", Arc::new(OneSecret(SECRET)), "aws").expect("an account");
    for wrong in ["", "localhost:9000", "ftp://x", "http://x/?a=b", "https://"] {
        let refused = account.clone().at(wrong).service("s3").err();
        assert!(
            matches!(&refused, Some(EngineError::Misconfigured(text)) if text.contains(wrong)),
            "{wrong}: {refused:?}"
        );
    }
    let of_aws = |service, region| account::address(None, |_| None, service, region);
    assert_eq!(of_aws("sqs", "eu-central-1"), "https://sqs.eu-central-1.amazonaws.com");
    assert_eq!(of_aws("s3", "cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn");
}

const LENT: &str =
    r#"{"AccessKeyId": "ASIA", "SecretAccessKey": "hush", "Token": "t", "Expiration": "2100-01-01T00:00:00Z"}"#;

fn role(from: From) -> Role {
    Role { http: Http::new().expect("a client"), from }
}

#[tokio::test]
async fn a_container_is_lent_a_key_that_is_kept_until_it_ends() {
    let (url, seen) = server(vec![(200, LENT)]).await;
    let role = Box::new(role(From::Container { url }));
    let credentials = Credentials::Lent { role, last: Default::default() };
    for _ in 0..3 {
        let key = credentials.key().await.expect("a key");
        assert_eq!((key.access_key_id(), key.session_token()), ("ASIA", Some("t")));
        assert!(!format!("{key:?}").contains("hush"), "{key:?}");
    }
    assert_eq!(seen.lock().expect("unpoisoned").len(), 1);

    // One that ends soon is replaced, and does its work where that can't be had.
    let (url, seen) = server(vec![(500, "")]).await;
    let now = SystemTime::now();
    for (left, works) in [(Duration::from_secs(30), true), (Duration::ZERO, false)] {
        let old = key("OLD".to_owned(), "hush".to_owned(), None, Some(now + left));
        let role = Box::new(role_at(&url));
        let credentials = Credentials::Lent { role, last: tokio::sync::Mutex::new(Some(old)) };
        assert_eq!(credentials.key().await.is_ok(), works);
    }
    assert_eq!(seen.lock().expect("unpoisoned").len(), 2);
}

fn role_at(url: &str) -> Role {
    role(From::Container { url: url.to_owned() })
}

#[tokio::test]
async fn a_service_account_shows_its_token() {
    const ANSWER: &str = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
        <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>hush</SecretAccessKey><SessionToken>t</SessionToken>\
        <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
        </AssumeRoleWithWebIdentityResponse>";
    let (endpoint, seen) = server(vec![(200, ANSWER), (200, "<No/>"), (403, "no")]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let token_file = file.display().to_string();
    let role = role(From::WebIdentity { token_file, role: "arn:x".into(), session: "s".into(), endpoint });
    assert!(matches!(role.lend().await, Err(EngineError::Misconfigured(_))), "there is no token");
    std::fs::write(&file, "a.b+c\n").expect("a file");
    assert_eq!(role.lend().await.expect("a key").secret_access_key(), "hush");
    assert!(matches!(role.lend().await, Err(EngineError::Unavailable(_))));
    let refused = role.lend().await;
    assert!(matches!(&refused, Err(EngineError::Refused(text)) if !text.contains("a.b")), "{refused:?}");
    let (_, _, body) = &seen.lock().expect("unpoisoned")[0];
    let body = std::str::from_utf8(body).expect("text");
    assert!(body.contains("RoleArn=arn%3Ax&RoleSessionName=s&WebIdentityToken=a.b%2Bc"), "{body}");
}

#[tokio::test]
async fn a_machine_tells_its_role_and_lends_its_key() {
    let (endpoint, seen) = server(vec![(200, "token"), (200, "the-role\n"), (200, LENT)]).await;
    let role = role(From::Machine { endpoint });
    assert_eq!(role.lend().await.expect("a key").access_key_id(), "ASIA");
    let seen = seen.lock().expect("unpoisoned");
    let lines: Vec<_> = seen.iter().map(|(line, ..)| &**line).collect();
    let path = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(lines, ["PUT /latest/api/token", &format!("GET {path}"), &format!("GET {path}the-role")]);
    assert_eq!(seen[2].1["x-aws-ec2-metadata-token"], "token");
}
