//! A day of the shop's, wherever it runs: what its customers and its staff see is the same everywhere.

use crate::aws::DeployedShop;
use crate::shop::{PATIENCE, Shop};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An answer, as far as it is the same everywhere.
#[derive(Debug, PartialEq)]
pub struct Said {
    /// Its status.
    pub status: u16,
    /// What `content-type` says.
    pub kind: String,
    /// Its body as JSON; of a problem without the id that is in the log.
    pub body: Value,
}

impl Said {
    /// An answer of these parts.
    pub fn new(status: u16, kind: &str, body: &[u8]) -> Self {
        let mut body: Value =
            serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into());
        if let Some(problem) = body.as_object_mut() {
            problem.remove("instance");
        }
        Said { status, kind: kind.to_owned(), body }
    }
}

/// Somewhere that the shop runs.
pub trait Place {
    /// Sends a request, with this key of the admin's.
    fn ask(&self, method: &str, path: &str, key: &str, body: Option<&str>) -> impl Future<Output = Said>;
    /// The admin's key.
    fn key(&self) -> &'static str;
    /// Keys and texts of the letters that the mailer was sent.
    fn letters(&self) -> Vec<(String, String)>;
    /// A blob of the bucket `trail`.
    fn trail(&self, key: &str) -> impl Future<Output = Option<Vec<u8>>>;
    /// Dead letters: whose, and why. Asked for once, at the end.
    fn dead_letters(&self) -> impl Future<Output = Vec<(String, String)>>;
    /// Lets it go on with what waits.
    fn go_on(&self) -> impl Future<Output = ()>;
}

async fn until<P: Place, T>(place: &P, what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}");
        place.go_on().await;
    }
}

/// The day.
///
/// # Panics
/// If it is another.
pub async fn day<P: Place>(place: &P) {
    const JSON: &str = "application/json";
    const PROBLEM: &str = "application/problem+json";
    let key = place.key();
    let asked = async |method: &str, path: &str, body: Option<Value>| {
        place.ask(method, path, key, body.map(|body| body.to_string()).as_deref()).await
    };
    let said = |status: u16, kind: &str, body: Value| Said { status, kind: kind.to_owned(), body };
    let problem = |status: u16, title: &str| {
        said(status, PROBLEM, json!({"type": "about:blank", "status": status, "title": title}))
    };

    // Only who holds the key counts; what can't be read is told what it is.
    let ten = json!({"left": 10});
    let guessed = place.ask("PUT", "/admin/stock/teapot", "guess", Some(&ten.to_string())).await;
    assert_eq!((guessed.status, guessed.kind.as_str()), (401, PROBLEM));
    assert_eq!(asked("PUT", "/admin/stock/teapot", Some(ten.clone())).await, said(200, JSON, ten));
    let unread = asked("POST", "/orders", Some(json!({"id": 7}))).await;
    assert_eq!((unread.status, unread.kind.as_str()), (422, PROBLEM));
    let broken = place.ask("POST", "/orders", key, Some("{")).await;
    assert_eq!((broken.status, broken.kind.as_str()), (400, PROBLEM));
    let unknown = asked("GET", "/orders/nobodys", None).await;
    assert_eq!((unknown.status, unknown.kind.as_str()), (404, PROBLEM));
    assert_eq!(unknown, problem(404, "Not Found"));

    // Nor is what nobody has told apart from what is there by another method.
    assert_eq!(asked("GET", "/nowhere", None).await, problem(404, "No such page"));
    assert_eq!(asked("DELETE", "/orders/a", None).await, problem(405, "Method not allowed"));
    assert_eq!(asked("PUT", "/quotes/teapot", None).await, problem(405, "Method not allowed"));

    // Orders, one of them placed twice and one that can't be met.
    for (id, quantity) in [("a", 1), ("b", 2), ("a", 1), ("poison", 1_000_000)] {
        let placed = asked("POST", "/orders", Some(json!({"id": id, "sku": "teapot", "quantity": quantity}))).await;
        assert_eq!(placed, said(202, JSON, json!({"id": id, "status": "placed"})));
    }
    for (id, status) in [("a", "shipped"), ("b", "shipped"), ("poison", "failed")] {
        let there = said(200, JSON, json!({"id": id, "status": status}));
        until(place, &format!("{id} is not {status}"), async || {
            (asked("GET", &format!("/orders/{id}"), None).await == there).then_some(())
        })
        .await;
    }
    for (id, quantity) in [("a", 1), ("b", 2)] {
        let letter = until(place, &format!("no letter for {id}"), async || {
            place.letters().into_iter().find(|(order, _)| order == id)
        })
        .await;
        assert!(letter.1.contains(&format!("{quantity} × teapot left our house today")), "{letter:?}");
        let file = format!("shipments/{id}.txt");
        let written = until(place, &file, async || place.trail(&file).await).await;
        assert_eq!(String::from_utf8(written).as_deref(), Ok(format!("{quantity} × teapot\n").as_str()));
    }

    // Three pieces are gone; a quote is a call, and what it fails with keeps its meaning.
    let cents = |cents: u64| said(200, JSON, json!({"cents": cents}));
    assert_eq!(asked("GET", "/quotes/teapot?quantity=7", None).await, cents(7 * 1_990));
    assert_eq!(asked("GET", "/quotes/teapot?quantity=8", None).await.status, 409);
    assert_eq!(asked("GET", "/quotes/earl%20grey", None).await, cents(990));
    assert_eq!(asked("GET", "/quotes/teapot?quantity=few", None).await.status, 400);
    assert_eq!(asked("HEAD", "/orders/a", None).await, said(200, JSON, "".into()));

    let dead =
        until(place, "no dead letter", async || Some(place.dead_letters().await).filter(|dead| !dead.is_empty()));
    let dead = dead.await;
    let [(handler, reason)] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!(handler, "shop::orders::ship");
    assert!(reason.contains("order poison: 1000000 × teapot are more than there are"), "{reason}");
}

impl Place for Shop {
    async fn ask(&self, method: &str, path: &str, key: &str, body: Option<&str>) -> Said {
        let url = format!("{}{path}", self.cluster.public("web"));
        let bearer = format!("Bearer {key}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let answer = crate::http::Http::one().send(method, &url, &headers, body.unwrap_or_default().to_owned()).await;
        said(&answer.expect("an answer"))
    }

    fn key(&self) -> &'static str {
        "admin-key"
    }

    fn letters(&self) -> Vec<(String, String)> {
        letters(&self.mailer.sent())
    }

    async fn trail(&self, key: &str) -> Option<Vec<u8>> {
        self.s3.read("shop", &format!("trail/{key}"))
    }

    async fn dead_letters(&self) -> Vec<(String, String)> {
        let handler =
            |key: &str| ["shop::orders::ship"].into_iter().find(|id| key.contains(id)).unwrap_or(key).to_owned();
        Shop::dead_letters(self).into_iter().map(|(key, letter)| (handler(&key), letter)).collect()
    }

    async fn go_on(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Place for DeployedShop {
    async fn ask(&self, method: &str, path: &str, key: &str, body: Option<&str>) -> Said {
        said(&self.ask_as(key, method, path, body.unwrap_or_default().to_owned()).await)
    }

    fn key(&self) -> &'static str {
        "admin-key"
    }

    fn letters(&self) -> Vec<(String, String)> {
        letters(&self.mailer.sent())
    }

    async fn trail(&self, key: &str) -> Option<Vec<u8>> {
        self.account.get(self.stack.physical("TrailBucket"), key).await.map(|body| body.to_vec())
    }

    async fn dead_letters(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (handler, start) in [
            ("shop::orders::ship", "ShopOrdersShip"),
            ("shop::mail::email_customer", "ShopMailEmailCustomer"),
            ("audit::record", "AuditRecord"),
        ] {
            let queue = self.stack.physical(self.logical(start, "DeadLetters"));
            for letter in self.account.drain(queue).await {
                let reason = letter["MessageAttributes"]["updraft"]["StringValue"].as_str().unwrap_or_default();
                all.push((handler.to_owned(), reason.to_owned()));
            }
        }
        all
    }

    async fn go_on(&self) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn said(answer: &crate::http::Answer) -> Said {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    Said::new(answer.status.as_u16(), kind, &answer.body)
}

fn letters(sent: &[crate::cluster::Sent]) -> Vec<(String, String)> {
    let key = |sent: &crate::cluster::Sent| sent.headers.get("idempotency-key")?.to_str().ok().map(str::to_owned);
    sent.iter().filter_map(|sent| Some((key(sent)?, sent.body.clone()))).collect()
}
