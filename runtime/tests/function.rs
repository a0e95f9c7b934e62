//! A database in a function of AWS Lambda: a process that stands still between events, and may be gone any time. Lambda, SQS
//! and Secrets Manager are played here; PostgreSQL and the process, which is killed and stopped, are real.
//!
//! - What a handler commits is on its way when its answer is there, and what is not is handed on by whoever looks next.
//! - A process that stands still holds no lock and no transaction, and has one connection.

use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::Path as File;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use updraft::axum::body::Body;
use updraft::axum::extract::{Path as Segment, State};
use updraft::axum::http::HeaderMap;
use updraft::axum::response::IntoResponse;
use updraft::axum::routing::{get, post};
use updraft::axum::{self, Router};
use updraft::prelude::*;
use updraft::sqlx;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/1/checks";
const URL: &str = "arn:aws:secretsmanager:eu-central-1:1:secret:books";

// ---- the application ----

/// Orders.
#[database(migrations = "tests/outbox")]
pub struct Books;

/// An order.
#[updraft::data]
pub struct Order {
    /// Its id.
    pub id: String,
}

/// Every order.
#[queue(message = Order)]
pub struct Checks;

/// Places an order, and may do something unusual then.
#[http(post, "/{then}/{id}", timeout = "1s")]
async fn place(
    books: Database<Books>,
    checks: Queue<Checks>,
    Path((then, id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let mut tx = books.begin().await?;
    sqlx::query("INSERT INTO placed (id) VALUES ($1)").bind(&id).execute(&mut *tx).await?;
    if then == "wait" {
        std::future::pending::<()>().await;
    }
    if then == "sleep" {
        sqlx::query("SELECT pg_sleep(600)").execute(&mut *tx).await?;
    }
    checks.send_in(&mut tx, &Order { id }).await?;
    if then == "stay" {
        std::future::pending::<()>().await;
    }
    if then == "leave" {
        return Err(Error::new("no").with_status(StatusCode::CONFLICT));
    }
    tx.commit().await?;
    if then == "die" {
        let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        std::future::pending::<()>().await;
    }
    Ok(StatusCode::CREATED)
}

/// Commits an order while it tells of it.
#[http(get, "/told/{id}")]
async fn told(books: Database<Books>, checks: Queue<Checks>, Path(id): Path<String>) -> Result<Body> {
    let commit = async move {
        let mut tx = books.begin().await?;
        sqlx::query("INSERT INTO placed (id) VALUES ($1)").bind(&id).execute(&mut *tx).await?;
        checks.send_in(&mut tx, &Order { id }).await?;
        tx.commit().await?;
        Ok::<_, Error>("committed")
    };
    let committed = commit.map(|done| done.map_err(|error| std::io::Error::other(error.to_string())));
    let pieces = futures_util::stream::iter([Ok("begun, ")]).chain(futures_util::stream::once(committed));
    Ok(Body::from_stream(pieces))
}

/// What the server does with this process's sessions.
#[http(get, "/patience")]
async fn patience(books: Database<Books>) -> Result<String> {
    let settings = "SELECT current_setting('idle_in_transaction_session_timeout')";
    Ok(sqlx::query_scalar(settings).fetch_one(books.pool()).await?)
}

#[consumer(Checks)]
async fn check(_order: Order) -> Result<()> {
    Ok(())
}

/// The program's body: no test of its own, so it does nothing unless a driver starts it.
#[test]
#[ignore = "a driver starts it in a process of its own"]
fn program() {
    let Ok(binding) = std::env::var("FUNCTION_BINDING") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.expect("a runtime").block_on(updraft::server::run(File::new(&binding)));
    ended.unwrap_or_else(|problems| panic!("{problems:?}"));
}

// ---- what stands in for AWS ----

/// SQS, and a secret.
#[derive(Default)]
struct Aws {
    url: String,
    away: Mutex<bool>,
    slow: Mutex<Duration>,
    /// Ids and bodies.
    taken: Mutex<Vec<(String, Value)>>,
}

impl Aws {
    fn orders(&self) -> Vec<String> {
        let taken = self.taken.lock().expect("unpoisoned");
        taken.iter().map(|(_, body)| body["id"].as_str().expect("an id").to_owned()).collect()
    }

    fn is_away(&self, away: bool) {
        *self.away.lock().expect("unpoisoned") = away;
    }
}

async fn asked(State(aws): State<Arc<Aws>>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let body: Value = serde_json::from_str(&body).expect("JSON");
    match headers["x-amz-target"].to_str().expect("text") {
        "secretsmanager.GetSecretValue" => {
            assert_eq!(body["SecretId"], URL);
            (StatusCode::OK, json!({ "SecretString": aws.url }).to_string())
        }
        "AmazonSQS.SendMessageBatch" if *aws.away.lock().expect("unpoisoned") => {
            (StatusCode::BAD_REQUEST, json!({ "__type": "ThrottlingException" }).to_string())
        }
        "AmazonSQS.SendMessageBatch" => {
            assert_eq!(body["QueueUrl"], QUEUE);
            let entries = body["Entries"].as_array().expect("entries");
            for entry in entries {
                let metadata = entry["MessageAttributes"]["updraft"]["StringValue"].as_str().expect("metadata");
                let metadata: Value = serde_json::from_str(metadata).expect("JSON");
                let order = serde_json::from_str(entry["MessageBody"].as_str().expect("a body")).expect("an order");
                let id = metadata["id"].as_str().expect("an id").to_owned();
                aws.taken.lock().expect("unpoisoned").push((id, order));
            }
            let slow = *aws.slow.lock().expect("unpoisoned");
            tokio::time::sleep(slow).await;
            let sent: Vec<Value> = entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect();
            (StatusCode::OK, json!({ "Successful": sent }).to_string())
        }
        other => panic!("nobody plays {other}"),
    }
}

/// Lambda's Runtime API for one process: events, and what becomes of each.
struct Lambda {
    events: mpsc::UnboundedSender<Value>,
    outcomes: Arc<Mutex<VecDeque<oneshot::Sender<Value>>>>,
    address: String,
}

type Waiting = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Value>>>;
type Outcomes = Arc<Mutex<VecDeque<oneshot::Sender<Value>>>>;

impl Lambda {
    async fn start() -> Lambda {
        let (events, waiting) = mpsc::unbounded_channel();
        let outcomes = Outcomes::default();
        let next = async |State((waiting, _)): State<(Waiting, Outcomes)>| match waiting.lock().await.recv().await {
            Some(event) => {
                let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
                let headers = [
                    ("lambda-runtime-aws-request-id", "request".to_owned()),
                    ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
                ];
                (headers, event.to_string()).into_response()
            }
            None => std::future::pending().await,
        };
        let end = async |State((_, outcomes)): State<(Waiting, Outcomes)>, _: Segment<String>, body: String| {
            let done = outcomes.lock().expect("unpoisoned").pop_front().expect("an event that was asked for");
            // What is streamed has a head of its own.
            let (head, streamed) = body.split_once("\0\0\0\0\0\0\0\0").unwrap_or((&body, ""));
            let mut outcome: Value = serde_json::from_str(head).expect("JSON");
            if head != body {
                outcome["body"] = streamed.into();
            }
            let _ = done.send(outcome);
            StatusCode::ACCEPTED
        };
        let api = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(end))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(end))
            .with_state((Waiting::new(tokio::sync::Mutex::new(waiting)), outcomes.clone()));
        Lambda { events, outcomes, address: serve(api).await }
    }

    /// Asks for an event; what becomes of it, unless the process ends.
    fn ask(&self, event: Value) -> oneshot::Receiver<Value> {
        let (done, outcome) = oneshot::channel();
        self.outcomes.lock().expect("unpoisoned").push_back(done);
        self.events.send(event).expect("Lambda is there");
        outcome
    }

    async fn invoke(&self, event: Value) -> Value {
        let outcome = tokio::time::timeout(PATIENCE, self.ask(event)).await;
        outcome.expect("an outcome in time").expect("an outcome")
    }

    async fn request(&self, method: &str, path: &str) -> (u64, String) {
        let answer = self.invoke(request(method, path)).await;
        let status = answer["statusCode"].as_u64().unwrap_or_else(|| panic!("{answer}"));
        (status, answer["body"].as_str().unwrap_or_default().to_owned())
    }

    /// The scheduler's.
    async fn look(&self) -> Value {
        self.invoke(json!({ "updraft": { "outbox": { "database": "books" } } })).await
    }
}

fn request(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "rawPath": path, "headers": { "host": "api.example.org" },
        "requestContext": { "stage": "$default", "http": { "method": method, "path": path, "protocol": "HTTP/1.1" } },
    })
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

// ---- the drivers ----

/// A process of the function.
struct Function {
    lambda: Lambda,
    child: Child,
}

impl Function {
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where what is said to a server gets there so much later.
async fn slowly(socket: &File, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (port, server) = (listener.local_addr().expect("an address").port(), socket.join(".s.PGSQL.5432"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&server).await.expect("the server");
            tokio::spawn(async move {
                let ((mut said, mut told), (mut answered, mut asked)) = (client.into_split(), server.into_split());
                let answers = tokio::io::copy(&mut answered, &mut told);
                let questions = async {
                    let mut part = [0; 8192];
                    loop {
                        let length = said.read(&mut part).await.unwrap_or_default();
                        tokio::time::sleep(delay).await;
                        if length == 0 || asked.write_all(&part[..length]).await.is_err() {
                            return asked.shutdown().await;
                        }
                    }
                };
                let _ = tokio::join!(answers, questions);
            });
        }
    });
    port
}

struct World {
    books: Database<Books>,
    aws: Arc<Aws>,
    endpoint: String,
    folder: TempDir,
}

impl World {
    async fn new() -> Option<World> {
        World::behind(None).await
    }

    /// The same with a server whose every answer takes so much longer.
    async fn behind(delay: Option<Duration>) -> Option<World> {
        let books = updraft::test::database::<Books>().await?;
        let options = books.pool().connect_options();
        let (name, socket) = (options.get_database().expect("a name"), options.get_socket().expect("a socket"));
        let url = format!("postgres://updraft@localhost/{name}?application_name=function");
        let url = match delay {
            None => format!("{url}&host={}", socket.display()),
            Some(delay) => format!("{url}&host=127.0.0.1&port={}&sslmode=disable", slowly(socket, delay).await),
        };
        let aws = Arc::new(Aws { url, ..Aws::default() });
        let endpoint = serve(Router::new().fallback(asked).with_state(aws.clone())).await;
        let folder = tempfile::tempdir().expect("a folder");
        let binding = json!({
            "format": 1, "app": "books", "graph": updraft::registry::graph_hash().expect("descriptors"),
            "units": {
                "books": { "handlers": ["function::place", "function::patience"] },
                "told": { "handlers": ["function::told"], "streams": true },
            },
            "resources": {
                "database": { "books": { "engine": "postgres", "url_secret": "database/books" } },
                "secret": { "database/books": { "engine": "secrets-manager" } },
                "queue": { "checks": { "engine": "sqs" } },
            },
        });
        std::fs::write(folder.path().join("binding.json"), binding.to_string()).expect("a binding");
        Some(World { books, aws, endpoint, folder })
    }

    async fn function(&self) -> Function {
        self.function_of("books").await
    }

    async fn function_of(&self, unit: &str) -> Function {
        let lambda = Lambda::start().await;
        let resources = json!({ "database/books": URL, "queue/checks": QUEUE });
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["program", "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env_clear();
        command.env("FUNCTION_BINDING", self.folder.path().join("binding.json"));
        command.env("UPDRAFT_UNIT", unit).env("UPDRAFT_RESOURCES", resources.to_string());
        command.env("AWS_LAMBDA_RUNTIME_API", &lambda.address).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ENDPOINT_URL", format!("http://{}", self.endpoint));
        command.env("AWS_ACCESS_KEY_ID", "AKID").env("AWS_SECRET_ACCESS_KEY", "hush");
        let child = command.stdout(Stdio::null()).spawn().expect("a process");
        Function { lambda, child }
    }

    async fn count(&self, of: &'static str) -> i64 {
        sqlx::query_scalar(of).fetch_one(self.books.pool()).await.expect(of)
    }

    async fn waiting(&self) -> i64 {
        self.count("SELECT count(*) FROM _updraft_outbox").await
    }

    /// Transactions of functions.
    async fn transactions(&self) -> i64 {
        let of = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'function' AND xact_start IS NOT NULL";
        self.count(of).await
    }

    /// Sessions of functions.
    async fn sessions(&self) -> i64 {
        let of = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'function'";
        self.count(of).await
    }
}

#[tokio::test]
async fn what_is_committed_is_on_its_way_with_the_answer() {
    let Some(world) = World::new().await else { return };
    let function = world.function().await;
    for nth in 0..5 {
        let order = format!("o{nth}");
        assert_eq!(function.lambda.request("POST", &format!("/commit/{order}")).await.0, 201);
        assert_eq!((world.aws.orders().last(), world.waiting().await), (Some(&order), 0));
    }
    assert_eq!(function.lambda.request("POST", "/leave/no").await.0, 409);
    assert_eq!((world.aws.orders().len(), world.waiting().await), (5, 0));
    assert_eq!(world.sessions().await, 1, "handlers and outbox share one");
    let (_, patience) = function.lambda.request("GET", "/patience").await;
    assert_eq!(patience, "1min", "a process that does not come back blocks nobody for long");
}

#[tokio::test]
async fn what_a_stream_commits_is_on_its_way_at_its_end() {
    let Some(world) = World::new().await else { return };
    let function = world.function_of("told").await;
    for nth in 0..3 {
        let order = format!("o{nth}");
        let answer = function.lambda.request("GET", &format!("/told/{order}")).await;
        assert_eq!(answer, (200, "begun, committed".to_owned()));
        assert_eq!((world.aws.orders().last(), world.waiting().await), (Some(&order), 0));
    }
    assert_eq!(world.transactions().await, 0);
}

#[tokio::test]
async fn what_sqs_does_not_take_waits_for_the_next_look() {
    let Some(world) = World::new().await else { return };
    let function = world.function().await;
    world.aws.is_away(true);
    assert_eq!(function.lambda.request("POST", "/commit/late").await.0, 201);
    assert_eq!((world.aws.orders().len(), world.waiting().await), (0, 1));
    world.aws.is_away(false);
    let since = Instant::now();
    while world.waiting().await > 0 {
        assert!(since.elapsed() < PATIENCE, "nobody hands it on");
        let moved = function.lambda.look().await;
        assert!(moved.is_u64(), "{moved}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.aws.orders(), ["late"]);
}

#[tokio::test]
async fn what_a_killed_process_committed_is_handed_on_by_another() {
    let Some(world) = World::new().await else { return };
    let mut killed = world.function().await;
    let _outcome = killed.lambda.ask(request("POST", "/die/left"));
    let since = Instant::now();
    while killed.child.try_wait().expect("a status").is_none() {
        assert!(since.elapsed() < PATIENCE, "it lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((world.aws.orders().len(), world.waiting().await), (0, 1));
    let other = world.function().await;
    // Whoever commits next hands on what was there before.
    assert_eq!(other.lambda.request("POST", "/commit/next").await.0, 201);
    assert_eq!((world.aws.orders(), world.waiting().await), (vec!["left".to_owned(), "next".to_owned()], 0));
    assert_eq!(other.lambda.look().await, 0, "and nobody else has to");
}

#[tokio::test]
async fn a_process_that_stands_still_holds_nothing() {
    let Some(world) = World::new().await else { return };
    let (still, other) = (world.function().await, world.function().await);
    assert_eq!(still.lambda.request("POST", "/commit/first").await.0, 201);
    // One that was given up in the middle of its transaction, which holds a lock, with a message and without.
    assert_eq!(still.lambda.request("POST", "/wait/second").await.0, 504);
    assert_eq!(still.lambda.request("POST", "/stay/second").await.0, 504);
    still.signal("-STOP");
    assert_eq!(world.transactions().await, 0);
    assert_eq!(other.lambda.request("POST", "/commit/second").await.0, 201);
    assert_eq!((world.aws.orders(), world.waiting().await), (vec!["first".to_owned(), "second".to_owned()], 0));
    // Nor does it miss what the server took from it meanwhile.
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'function'";
    assert_eq!(world.count(ended).await, 2);
    still.signal("-CONT");
    assert_eq!(still.lambda.request("POST", "/commit/third").await.0, 201);
    assert_eq!(world.aws.orders().len(), 3);
}

/// There may be more than an event has time for. What was sent is not sent again, but for the message that its end meets.
#[tokio::test]
async fn what_is_left_of_many_is_left_whole() {
    let Some(world) = World::new().await else { return };
    let (checks, _) = updraft::test::queue::<Checks>();
    for nth in 0..60 {
        let mut tx = world.books.begin().await.expect("a transaction");
        checks.send_in(&mut tx, &Order { id: format!("{nth:02}") }).await.expect("sent");
        tx.commit().await.expect("committed");
    }
    *world.aws.slow.lock().expect("unpoisoned") = Duration::from_millis(100);
    let function = world.function().await;
    assert_eq!(function.lambda.request("POST", "/commit/60").await.0, 201);
    let (since, mut looks) = (Instant::now(), 0);
    while world.waiting().await > 0 {
        assert!(since.elapsed() < PATIENCE, "nobody hands it on");
        function.lambda.look().await.as_u64().expect("a number");
        looks += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut orders = world.aws.orders();
    assert!(orders.len() <= 61 + 1 + looks, "{orders:?}");
    orders.sort();
    orders.dedup();
    assert_eq!(orders, (0..61).map(|nth| format!("{nth:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_given_up_is_taken_back_before_the_answer() {
    let Some(world) = World::behind(Some(Duration::from_millis(100))).await else { return };
    let function = world.function().await;
    assert_eq!(function.lambda.request("POST", "/wait/first").await.0, 504);
    assert_eq!(world.transactions().await, 0);
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_any_longer_is_ended() {
    let Some(world) = World::new().await else { return };
    let function = world.function().await;
    assert_eq!(function.lambda.request("POST", "/sleep/first").await.0, 504);
    // It had the one connection, and a lock.
    assert_eq!(function.lambda.request("POST", "/commit/second").await.0, 201);
    let since = Instant::now();
    let asleep =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)'";
    while world.count(asleep).await > 0 {
        assert!(since.elapsed() < PATIENCE, "the server goes on with it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(function.lambda.request("POST", "/commit/first").await.0, 201);
    assert_eq!((world.aws.orders().len(), world.waiting().await), (2, 0));
}

#[tokio::test]
async fn processes_side_by_side_hand_on_each_message_once() {
    let Some(world) = World::new().await else { return };
    // Whoever comes first makes the tables, and the others wait.
    sqlx::raw_sql("DROP TABLE placed, _sqlx_migrations, _updraft_outbox, _updraft_relay")
        .execute(world.books.pool())
        .await
        .expect("dropped");
    let functions = [world.function().await, world.function().await, world.function().await];
    let work = functions.iter().enumerate().map(|(one, function)| async move {
        for nth in 0..20 {
            assert_eq!(function.lambda.request("POST", &format!("/commit/{one}-{nth}")).await.0, 201);
        }
    });
    futures_util::future::join_all(work).await;
    let mut orders = world.aws.orders();
    orders.sort();
    let mut expected: Vec<String> = (0..3).flat_map(|one| (0..20).map(move |nth| format!("{one}-{nth}"))).collect();
    expected.sort();
    assert_eq!((orders, world.waiting().await, world.sessions().await), (expected, 0, 3));
}

#[tokio::test]
async fn a_look_at_a_database_that_there_is_not() {
    let Some(world) = World::new().await else { return };
    let function = world.function().await;
    let outcome = function.lambda.invoke(json!({ "updraft": { "outbox": { "database": "other" } } })).await;
    assert_eq!(outcome["errorMessage"], "the unit has no database `other`");
}
