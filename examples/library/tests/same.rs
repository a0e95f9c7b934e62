//! The application as it was and as it is now, over the same requests: the same statuses, headers and answers. Where both
//! refuse, the old one has words of its own (or none) and the new one problem+json, so there the status alone counts.

#[path = "../before/mod.rs"]
mod before;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use library as _;
use tower::ServiceExt;
use updraft::test::App;

const TOKEN: &str = "letmein";

/// (at the desk, method, path, content type, body)
type Asked = (bool, &'static str, &'static str, &'static str, &'static str);

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain";

/// A day at the library.
const DAY: &[Asked] = &[
    (false, "GET", "/", TEXT, ""),
    (false, "GET", "/books", TEXT, ""),
    (false, "PUT", "/books/1", JSON, r#"{"title":"Emma","author":"Austen"}"#),
    (true, "PUT", "/books/1", JSON, r#"{"title":"Emma","author":"Austen"}"#),
    (true, "PUT", "/books/1", JSON, r#"{"title":"Emma","author":"Jane Austen"}"#),
    (true, "PUT", "/books/2", JSON, r#"{"title":"Faust","author":"Goethe"}"#),
    (true, "PUT", "/books/3", JSON, r#"{"title":"no author"}"#),
    (true, "PUT", "/books/3", JSON, "no JSON"),
    (true, "PUT", "/books/3", TEXT, r#"{"title":"Emma","author":"Austen"}"#),
    (false, "GET", "/books", TEXT, ""),
    (false, "GET", "/books/1", TEXT, ""),
    (false, "HEAD", "/books/1", TEXT, ""),
    (false, "GET", "/books/9", TEXT, ""),
    (true, "POST", "/members", FORM, "name=ann&street=High+Street"),
    (true, "POST", "/members", FORM, "name=bob"),
    (false, "POST", "/members", FORM, "name=bob&street=x"),
    (true, "GET", "/members/ann", TEXT, ""),
    (true, "GET", "/members/bob", TEXT, ""),
    (true, "POST", "/loans/1", TEXT, "ann"),
    (true, "POST", "/loans/1", TEXT, "ann"),
    (true, "POST", "/loans/1", TEXT, "bob"),
    (false, "POST", "/loans/2", TEXT, "ann"),
    (true, "GET", "/loans/1", TEXT, ""),
    (true, "GET", "/loans/2", TEXT, ""),
    (false, "GET", "/loans/1", TEXT, ""),
    (true, "PUT", "/loans/1", TEXT, ""),
    (true, "DELETE", "/books/1", TEXT, ""),
    (true, "GET", "/statistics", TEXT, ""),
    (false, "GET", "/statistics", TEXT, ""),
    (true, "DELETE", "/loans/1", TEXT, ""),
    (true, "DELETE", "/loans/1", TEXT, ""),
    (true, "DELETE", "/books/1", TEXT, ""),
    (true, "DELETE", "/books/1", TEXT, ""),
    (false, "GET", "/books", TEXT, ""),
    (false, "GET", "/nowhere", TEXT, ""),
];

/// Status, the polite header, where to, and the body of an answer that is no refusal.
type Answered = (u16, Option<String>, Option<String>, String);

async fn old(app: &axum::Router, (desk, method, path, kind, body): Asked) -> Answered {
    let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, kind);
    if desk {
        request = request.header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    }
    let Ok(answer) = app.clone().oneshot(request.body(Body::from(body)).expect("a request")).await;
    let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let (status, polite, location) = (answer.status().as_u16(), text("x-library"), text("location"));
    let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    answered(status, polite, location, String::from_utf8_lossy(&body).into_owned())
}

async fn new(app: &App, (desk, method, path, kind, body): Asked) -> Answered {
    let mut request = app.request(method, path).header("content-type", kind).body(body);
    if desk {
        request = request.bearer(TOKEN);
    }
    let answer = request.await;
    let text = |name: &str| answer.header(name).map(str::to_owned);
    answered(answer.status().as_u16(), text("x-library"), text("location"), answer.text())
}

fn answered(status: u16, polite: Option<String>, location: Option<String>, body: String) -> Answered {
    // Of JSON, what it says: the old one had an order of its own.
    let body = match serde_json::from_str::<serde_json::Value>(&body) {
        Ok(value) => value.to_string(),
        Err(_) => body,
    };
    (status, polite, location, if status < 400 { body } else { String::new() })
}

#[tokio::test]
async fn a_day_at_the_library_before_and_after() {
    let (before, after) = (before::app(TOKEN), updraft::test::app!(library).start().await);
    for asked in DAY {
        let (old, new) = (old(&before, *asked).await, new(&after, *asked).await);
        assert_eq!(old, new, "{asked:?}");
        assert!(old.0 == 404 || old.1.as_deref() == Some("open"), "{asked:?} went round the middleware: {old:?}");
    }
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused() {
    let after = updraft::test::app!(library).start().await;
    let large = format!(r#"{{"title":"{}","author":"x"}}"#, "long".repeat(20_000));
    let answer = after.put("/books/7").bearer(TOKEN).header("content-type", JSON).body(large).await;
    assert_eq!(answer.status(), 413, "Updraft.toml says 64KiB");
}
