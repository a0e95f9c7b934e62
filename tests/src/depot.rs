//! An application that whole-process tests run: a handler for each thing that can go right or wrong.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use updraft::axum::extract::ConnectInfo;
use updraft::axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use updraft::axum::response::sse::{Event, Sse};
use updraft::prelude::*;

/// What the consumer shall do.
#[updraft::data]
pub struct Job {
    /// Its name in [`Done`].
    pub name: String,
    /// `ok`, `fail`, `permanent`, `panic` or `slow`.
    pub act: String,
    /// Where.
    pub region: String,
}

/// Jobs that wait.
#[queue(message = Job)]
pub struct Jobs;

/// Payments that wait.
#[queue(message = Job)]
pub struct Payments;

/// Where they are announced too.
#[topic(message = Job, attributes(region))]
pub struct News;

/// How often each job was tried.
#[store(key = String, value = u32)]
pub struct Done;

/// Papers.
#[bucket]
pub struct Papers;

/// Opens nothing.
#[secret]
pub struct Password;

/// May be absent.
#[secret(optional)]
pub struct Nickname;

/// Words.
#[config]
pub struct Words {
    /// Said first.
    #[default("hello".to_owned())]
    pub greeting: String,
}

/// A plain answer.
#[http(get, "/hello/{name}")]
async fn hello(Path(name): Path<String>, words: Config<Words>) -> String {
    format!("{}, {name}", words.greeting)
}

/// Says who asks.
#[http(get, "/who")]
async fn who(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.ip().to_string()
}

/// Gives a job back.
#[http(post, "/echo")]
async fn echo(Json(job): Json<Job>) -> Json<Job> {
    Json(job)
}

/// An answer after a while.
#[http(get, "/slow/{millis}")]
async fn slow(Path(millis): Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    "slow"
}

/// Counts what it is told, with a store that it holds for as long as the connection is open.
#[http(get, "/live", timeout = "1s")]
async fn live(upgrade: WebSocketUpgrade, done: Store<Done>) -> Response {
    upgrade.on_upgrade(move |socket| told(socket, done))
}

async fn told(mut socket: WebSocket, done: Store<Done>) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(name) = message else { continue };
        let name = name.to_string();
        let answer = match done.update(&name, |count| count.unwrap_or(0) + 1).await {
            Ok(count) => format!("{name} {count}"),
            Err(error) => error.to_string(),
        };
        if socket.send(Message::text(answer)).await.is_err() {
            break;
        }
    }
}

/// Says ten times a second how often something was done.
#[http(get, "/ticks", timeout = "1s")]
async fn ticks(
    done: Store<Done, ReadOnly>,
) -> Sse<impl futures_util::Stream<Item = std::result::Result<Event, Infallible>>> {
    Sse::new(futures_util::stream::unfold(done, async |done| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let count = done.get("ticked").await.ok().flatten().unwrap_or_default();
        Some((Ok(Event::default().data(count.to_string())), done))
    }))
}

/// Sends a job and announces it.
#[http(post, "/jobs")]
async fn send(jobs: Queue<Jobs>, news: Topic<News>, Json(job): Json<Job>) -> Result<StatusCode> {
    jobs.send(&job).await?;
    news.publish(&job).await?;
    Ok(StatusCode::ACCEPTED)
}

/// How often a job was tried.
#[http(get, "/done/{name}")]
async fn done(Path(name): Path<String>, done: Store<Done, ReadOnly>) -> Result<Json<u32>> {
    Ok(Json(done.get(&name).await?.unwrap_or(0)))
}

/// Counts without an event.
#[http(put, "/done/{name}")]
async fn count(Path(name): Path<String>, done: Store<Done>) -> Result<Json<u32>> {
    Ok(Json(done.update(&name, |times| times.unwrap_or(0) + 1).await?))
}

/// Keeps a paper.
#[http(put, "/papers/{name}")]
async fn keep(Path(name): Path<String>, papers: Bucket<Papers>, body: String) -> Result<String> {
    papers.put_as(&format!("kept/{name}"), "text/plain", body).await?;
    let kept = papers.get(&format!("kept/{name}")).await?;
    Ok(kept.map(|blob| String::from_utf8_lossy(&blob.body).into_owned()).unwrap_or_default())
}

/// Says how long the secrets are.
#[http(get, "/secrets")]
async fn secrets(password: Secret<Password>, nickname: Secret<Nickname>) -> Result<String> {
    let nickname = nickname.expose().await?.map_or(0, |name| name.expose_secret().len());
    Ok(format!("{} {nickname}", password.expose().await?.expose_secret().len()))
}

/// Does a job.
#[consumer(Jobs, timeout = "2s")]
async fn work(job: Job, delivery: Delivery, done: Store<Done>) -> Result<()> {
    let lambda = std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some();
    assert_eq!(delivery.attempt().is_some(), lambda, "brokers don't say");
    tracing::info!(job = job.name, "doing a job");
    done.update(&job.name, |times| times.unwrap_or(0) + 1).await?;
    match job.act.as_str() {
        "ok" => Ok(()),
        "permanent" => Err(Error::permanent("this job can't be done")),
        "panic" => panic!("this job hurts"),
        "slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Ok(())
        }
        _ => Err(Error::new("this job failed")),
    }
}

/// Takes a payment, once.
#[consumer(Payments, once, timeout = "1s")]
async fn pay(job: Job, done: Store<Done>) -> Result<()> {
    if job.act == "slow" {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let times = done.update(&job.name, |times| times.unwrap_or(0) + 1).await?;
    match (job.act.as_str(), times) {
        ("crash", 1) => std::process::abort(),
        ("fail", 1) => Err(Error::new("this payment failed")),
        _ => Ok(()),
    }
}

/// Listens to the news.
#[subscriber(News)]
async fn listen(job: Job, done: Store<Done>) -> Result<()> {
    done.update(&format!("news/{}", job.name), |times| times.unwrap_or(0) + 1).await?;
    Ok(())
}

/// Writes down when it was due.
#[schedule("* * * * *")]
async fn tidy(tick: Tick, papers: Bucket<Papers, WriteOnly>) -> Result<()> {
    papers.put("ticks/last", tick.scheduled.to_string()).await?;
    Ok(())
}

/// Counts nights; none begins well.
#[schedule("0 3 * * *")]
async fn nightly(tick: Tick, done: Store<Done>) -> Result<()> {
    let times = done.update(&tick.scheduled.to_string(), |times| times.unwrap_or(0) + 1).await?;
    if times == 1 { Err(Error::new("no night begins well")) } else { Ok(()) }
}

/// Why something has no weight.
#[updraft::data]
pub enum NoWeight {
    /// There is nothing.
    Weightless,
}

impl std::fmt::Display for NoWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing weighs nothing")
    }
}

impl std::error::Error for NoWeight {}

/// Weighs words.
#[function]
async fn weigh(text: String) -> Result<usize, NoWeight> {
    if text == "panic" {
        panic!("the scales broke");
    }
    if text.is_empty() { Err(NoWeight::Weightless) } else { Ok(text.len()) }
}

/// Has words weighed.
#[http(get, "/weight/{text}")]
async fn weight(Path(text): Path<String>, weigh: Function<weigh>) -> Result<String> {
    Ok(weigh.call(text).await?.to_string())
}

/// All handlers' ids, by unit: routes that need nothing, routes, events.
pub fn units() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("plain", vec!["hello", "who", "echo", "slow"]),
        ("web", vec!["hello", "who", "echo", "slow", "send", "done", "count", "keep", "secrets"]),
        ("streams", vec!["live", "ticks"]),
        ("work", vec!["work", "listen", "tidy"]),
        ("pay", vec!["pay"]),
        ("jobs", vec!["work", "listen", "nightly"]),
        ("calls", vec!["weigh"]),
        ("callers", vec!["weight"]),
    ])
}
