//! With a Runtime API that tells the test of each piece as it comes.

use super::*;
use crate::lambda::api::Invocation;
use crate::lambda::fixture::{Played, unit};
use crate::registry::Dispatch;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What Lambda is told of an answer.
#[derive(Debug, PartialEq)]
enum Told {
    /// Mode and content type.
    Begun(String, String),
    Piece(Vec<u8>),
    /// The error's type and its words.
    Broke(String, String),
    Ended,
}

/// Whatever is told, in its order.
struct Lambda {
    api: Api,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Lambda {
    async fn start() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self::with(post(take).with_state(tell), told).await
    }

    async fn with(answers: axum::routing::MethodRouter, told: mpsc::UnboundedReceiver<Told>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().route("/2018-06-01/runtime/invocation/{id}/response", answers);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Lambda { api: Api::at(&address).unwrap(), told }
    }

    async fn told(&mut self) -> Told {
        self.told.recv().await.expect("more to be told")
    }

    /// Head and body of what is taken as a whole.
    async fn whole(&mut self) -> (Value, Vec<u8>) {
        let head = self.head().await;
        let mut body = Vec::new();
        loop {
            match self.told().await {
                Told::Piece(piece) => body.extend(piece),
                Told::Ended => return (head, body),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn head(&mut self) -> Value {
        let begun = Told::Begun("streaming".into(), "application/vnd.awslambda.http-integration-response".into());
        assert_eq!(self.told().await, begun);
        let Told::Piece(head) = self.told().await else { panic!("no head") };
        assert_eq!(self.told().await, Told::Piece(vec![0; 8]));
        serde_json::from_slice(&head).expect("a head")
    }
}

async fn take(State(tell): State<mpsc::UnboundedSender<Told>>, request: Request) -> StatusCode {
    let text = |name: &str, headers: &axum::http::HeaderMap| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (parts, mut body) = request.into_parts();
    let mode = text("lambda-runtime-function-response-mode", &parts.headers);
    let _ = tell.send(Told::Begun(mode, text("content-type", &parts.headers)));
    while let Some(Ok(frame)) = body.frame().await {
        let told = match frame.into_data() {
            Ok(piece) => Told::Piece(piece.to_vec()),
            Err(frame) => {
                let trailers = frame.into_trailers().expect("trailers");
                let why = STANDARD.decode(text("lambda-runtime-function-error-body", &trailers)).expect("base64");
                let why: Value = serde_json::from_slice(&why).expect("JSON");
                assert_eq!(why["errorType"], text("lambda-runtime-function-error-type", &trailers));
                let why = |name: &str| why[name].as_str().unwrap_or_default().to_owned();
                Told::Broke(why("errorType"), why("errorMessage"))
            }
        };
        let _ = tell.send(told);
    }
    let _ = tell.send(Told::Ended);
    StatusCode::ACCEPTED
}

/// A unit whose requests come through a function's URL, all to one answer.
fn answering<F, Fut>(answer: F) -> Unit
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let function = Dispatch::Function { call: |_, _| Box::pin(async { Ok(Bytes::default()) }) };
    let mut unit = unit("any", function, Arc::<Played>::default());
    unit.router = Router::new().route("/", get(answer));
    unit.streams = true;
    unit
}

fn invocation(method: &str, host: &str, deadline: Timestamp) -> Invocation {
    let line = json!({ "method": method, "path": "/", "protocol": "HTTP/1.1" });
    let context = json!({ "stage": "$default", "http": line, "domainName": host });
    let event = json!({ "version": "2.0", "rawPath": "/", "headers": {}, "requestContext": context });
    Invocation { id: "r1".to_owned(), deadline, trace: None, event: event.to_string().into() }
}

const URL: &str = "x.lambda-url.eu-central-1.on.aws";

fn asked() -> Invocation {
    invocation("GET", URL, Timestamp::MAX)
}

/// A body of what comes through a channel.
fn coming() -> (mpsc::Sender<Result<&'static str, std::io::Error>>, Arc<std::sync::Mutex<Option<Body>>>) {
    let (sender, pieces) = mpsc::channel(1);
    let pieces = stream::unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) });
    (sender, Arc::new(std::sync::Mutex::new(Some(Body::from_stream(pieces)))))
}

fn once(body: &Arc<std::sync::Mutex<Option<Body>>>) -> impl Fn() -> std::future::Ready<Response> + Clone + use<> {
    let body = body.clone();
    move || std::future::ready(Response::new(body.lock().unwrap().take().expect("one request")))
}

#[tokio::test]
async fn a_piece_is_there_before_the_next_is_made() {
    let mut lambda = Lambda::start().await;
    let (make, body) = coming();
    let unit = answering(once(&body));
    let api = lambda.api.clone();
    let work = tokio::spawn(async move { unit.work(&api, asked()).await });
    assert_eq!(lambda.head().await["statusCode"], 200, "before there is any piece");
    for piece in ["data: 1\n\n", "data: 2\n\n"] {
        make.send(Ok(piece)).await.unwrap();
        assert_eq!(lambda.told().await, Told::Piece(piece.into()));
    }
    drop(make);
    assert_eq!(lambda.told().await, Told::Ended);
    work.await.unwrap();
}

#[tokio::test]
async fn what_breaks_off_midway_says_why() {
    let mut lambda = Lambda::start().await;
    let panics = stream::iter([Ok::<_, std::io::Error>("begun")]).chain(stream::once(async {
        tokio::task::yield_now().await;
        panic!("ouch")
    }));
    let (_held, stuck) = coming();
    let (make, fails) = coming();
    let panics = Arc::new(std::sync::Mutex::new(Some(Body::from_stream(panics))));
    for (body, deadline, kind, why) in [
        (panics, Timestamp::MAX, "panic", "ouch"),
        (fails, Timestamp::MAX, "broke-off", "cut"),
        (stuck, Timestamp::now() + SignedDuration::from_millis(300), "timed-out", "the function's time"),
    ] {
        let unit = answering(once(&body));
        let (api, asked) = (lambda.api.clone(), invocation("GET", URL, deadline));
        let work = tokio::spawn(async move { unit.work(&api, asked).await });
        lambda.head().await;
        if kind == "broke-off" {
            make.send(Ok("begun")).await.unwrap();
        }
        if kind != "timed-out" {
            assert_eq!(lambda.told().await, Told::Piece(b"begun".to_vec()));
        }
        if kind == "broke-off" {
            make.send(Err(std::io::Error::other("cut"))).await.unwrap();
        }
        let Told::Broke(told, words) = lambda.told().await else { panic!("no trailers for {kind}") };
        assert_eq!((told.as_str(), words.contains(why)), (kind, true), "{words}");
        assert_eq!(lambda.told().await, Told::Ended);
        work.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_there_leaves_as_it_is() {
    let mut lambda = Lambda::start().await;
    let unit = answering(|| async {
        let response = Response::builder()
            .status(201)
            .header("content-type", "image/png")
            .header("set-cookie", "a=1; Path=/")
            .header("set-cookie", "b=2")
            .header("vary", "accept")
            .header("vary", "origin");
        response.body(Body::from(&[0xff, 0, 0xfe][..])).unwrap()
    });
    unit.work(&lambda.api, asked()).await;
    let (head, body) = lambda.whole().await;
    assert_eq!((&head["statusCode"], &head["cookies"]), (&json!(201), &json!(["a=1; Path=/", "b=2"])));
    assert_eq!((&head["headers"]["vary"], body), (&json!("accept, origin"), vec![0xff, 0, 0xfe]));
    unit.work(&lambda.api, invocation("HEAD", URL, Timestamp::MAX)).await;
    let (head, body) = lambda.whole().await;
    assert_eq!(
        (&head["statusCode"], &head["headers"]["content-type"], body),
        (&json!(201), &json!("image/png"), vec![])
    );
    // More than is looked at, and than an answer that is no stream may have.
    let unit = answering(|| async { Response::new(Body::from(vec![7; 7 << 20])) });
    unit.work(&lambda.api, asked()).await;
    assert_eq!(lambda.whole().await.1, vec![7; 7 << 20]);
}

#[tokio::test]
async fn what_breaks_before_it_leaves_is_a_problem() {
    let mut lambda = Lambda::start().await;
    let unit = answering(|| async {
        Response::new(Body::from_stream(stream::iter([Ok("begun"), Err(std::io::Error::other("cut"))])))
    });
    unit.work(&lambda.api, asked()).await;
    let (head, body) = lambda.whole().await;
    assert_eq!(
        (&head["statusCode"], &head["headers"]["content-type"]),
        (&json!(500), &json!("application/problem+json"))
    );
    assert!(String::from_utf8(body).unwrap().contains("broke off"));
    let slow = answering(std::future::pending);
    let deadline = Timestamp::now() + SignedDuration::from_millis(300);
    slow.work(&lambda.api, invocation("GET", URL, deadline)).await;
    assert_eq!(lambda.whole().await.0["statusCode"], 504);
}

/// While an API's place is taken by a URL, both ask.
#[tokio::test]
async fn what_an_api_asks_is_answered_as_it_reads_it() {
    let mut lambda = Lambda::start().await;
    let unit = answering(|| async { Response::new(Body::from("hello")) });
    let asked = invocation("GET", "x.execute-api.eu-central-1.amazonaws.com", Timestamp::MAX);
    unit.work(&lambda.api, asked).await;
    assert_eq!(lambda.told().await, Told::Begun(String::new(), String::new()));
    let Told::Piece(answer) = lambda.told().await else { panic!("no answer") };
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("aGVsbG8="), &json!(true)));
}

#[tokio::test]
async fn nothing_is_made_that_nobody_takes() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let endless = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![0; LOOKED_AT + 1])
    });
    let unit = answering(|| async { Response::new(Body::empty()) });
    let (pieces, mut taken) = mpsc::channel(WAITING);
    let mut feeding = pin!(unit.feed(Response::new(Body::from_stream(endless)), pieces, Ends::of(Timestamp::MAX)));
    // Its head, what ends that, two pieces, and one that it holds.
    for more in 0..3 {
        assert!(feeding.as_mut().now_or_never().is_none());
        assert_eq!(made.load(Ordering::Relaxed), 3 + more);
        taken.recv().await.expect("a piece");
    }
}

#[tokio::test]
async fn who_takes_no_more_keeps_nothing_from_the_next() {
    let (tell, told) = mpsc::unbounded_channel::<Told>();
    let closed = || async { ([("connection", "close")], StatusCode::PAYLOAD_TOO_LARGE) };
    let deaf = Lambda::with(post(closed), told).await;
    drop(tell);
    let (make, body) = coming();
    let unit = answering(once(&body));
    unit.work(&deaf.api, asked()).await;
    assert!(make.is_closed(), "nobody reads it any more");

    // One that says so before it has all, as stand-ins do, has all the same.
    let (tell, told) = mpsc::unbounded_channel();
    let early = move |request: Request| async move {
        tokio::spawn(take(State(tell), request));
        StatusCode::ACCEPTED
    };
    let mut early = Lambda::with(post(early), told).await;
    let (make, body) = coming();
    let (unit, api) = (answering(once(&body)), early.api.clone());
    let work = tokio::spawn(async move { unit.work(&api, asked()).await });
    early.head().await;
    make.send(Ok("late")).await.unwrap();
    assert_eq!(early.told().await, Told::Piece(b"late".to_vec()));
    drop(make);
    assert_eq!(early.told().await, Told::Ended);
    work.await.unwrap();
}
