//! NATS JetStream, over as much of its text protocol as that takes: requests whose answers come to an inbox of ours. A message
//! that is pulled comes under its own subject, so that each client pulls by a subscription of its own.

use super::{BODY, Outcome, Queue};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use updraft::engine::BoxFuture;
use updraft_tests::servers::{Process, free_port, program};

const CLIENTS_PER_CONNECTION: usize = 64;

pub(super) struct JetStream(Vec<Connection>);

pub(super) async fn start(folder: &Path, clients: usize) -> Outcome<(Process, JetStream)> {
    let port = free_port();
    let settings = folder.join("nats.conf");
    let store = folder.join("store");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?}, sync_interval: always }}\n",
        store.display().to_string()
    );
    std::fs::write(&settings, text).map_err(|error| error.to_string())?;
    let mut command = Command::new(program("nats-server").ok_or("no nats-server")?);
    let server = Process::listening(command.arg("-c").arg(&settings), port);
    let mut connections = Vec::new();
    for _ in 0..clients.div_ceil(CLIENTS_PER_CONNECTION) {
        connections.push(Connection::open(port).await?);
    }
    for client in 0..clients {
        connections[client % connections.len()].subscribe(client);
    }
    let stream = json!({
        "name": "orders", "subjects": ["orders"], "retention": "workqueue", "storage": "file", "num_replicas": 1
    });
    let consumer = json!({ "stream_name": "orders", "config": {
        "durable_name": "workers", "ack_policy": "explicit", "ack_wait": 60_000_000_000_u64, "max_ack_pending": -1
    } });
    for (subject, what) in
        [("$JS.API.STREAM.CREATE.orders", stream), ("$JS.API.CONSUMER.DURABLE.CREATE.orders.workers", consumer)]
    {
        accepted(&connections[0].request(subject, what.to_string().as_bytes()).await?)?;
    }
    Ok((server, JetStream(connections)))
}

impl Queue for JetStream {
    fn cycle(&self, client: usize) -> BoxFuture<'_, Outcome<()>> {
        Box::pin(async move {
            let connection = &self.0[client % self.0.len()];
            accepted(&connection.request("orders", BODY).await?)?;
            let next = br#"{"batch":1,"expires":30000000000}"#;
            let message = connection.pull("$JS.API.CONSUMER.MSG.NEXT.orders.workers", client, next).await?;
            if message.body != BODY {
                return Err(format!("no message: {message:?}"));
            }
            let reply = message.reply.ok_or("a message without a place for its acknowledgement")?;
            connection.send(&reply, None, b"+ACK");
            Ok(())
        })
    }
}

fn accepted(answer: &Answer) -> Outcome<()> {
    let value: serde_json::Value =
        serde_json::from_slice(&answer.body).map_err(|error| format!("{answer:?}: {error}"))?;
    match value.get("error") {
        None => Ok(()),
        Some(error) => Err(format!("jetstream: {error}")),
    }
}

#[derive(Debug)]
struct Answer {
    reply: Option<String>,
    body: Vec<u8>,
}

/// By the subscription's number, and for the shared one by the request's.
type Waiting = Arc<Mutex<HashMap<(u64, u64), oneshot::Sender<Answer>>>>;

/// The subscription that requests share; a client's own is its number and two.
const SHARED: u64 = 1;

struct Connection {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting,
    last: AtomicU64,
    inbox: String,
}

impl Connection {
    async fn open(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let inbox = format!("_INBOX.{}", stream.local_addr().map_err(|error| error.to_string())?.port());
        let (read, write) = stream.into_split();
        let (outgoing, queued) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        let hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"lang\":\"rust\",\"version\":\"0\",\"protocol\":1}\r\n";
        let _ = outgoing.send(format!("{hello}SUB {inbox}.* {SHARED}\r\n").into_bytes());
        tokio::spawn(write_all(write, queued));
        tokio::spawn(read_all(read, waiting.clone(), outgoing.clone()));
        Ok(Connection { outgoing, waiting, last: AtomicU64::new(0), inbox })
    }

    fn send(&self, subject: &str, reply: Option<&str>, body: &[u8]) {
        let mut line =
            format!("PUB {subject} {}{}\r\n", reply.map(|reply| format!("{reply} ")).unwrap_or_default(), body.len())
                .into_bytes();
        line.extend_from_slice(body);
        line.extend_from_slice(b"\r\n");
        let _ = self.outgoing.send(line);
    }

    async fn request(&self, subject: &str, body: &[u8]) -> Outcome<Answer> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.ask((SHARED, number), subject, &format!("{}.{number}", self.inbox), body).await
    }

    fn subscribe(&self, client: usize) {
        let line = format!("SUB {}.pull.{client} {}\r\n", self.inbox, client as u64 + SHARED + 1);
        let _ = self.outgoing.send(line.into_bytes());
    }

    async fn pull(&self, subject: &str, client: usize, body: &[u8]) -> Outcome<Answer> {
        let inbox = format!("{}.pull.{client}", self.inbox);
        self.ask((client as u64 + SHARED + 1, 0), subject, &inbox, body).await
    }

    async fn ask(&self, key: (u64, u64), subject: &str, inbox: &str, body: &[u8]) -> Outcome<Answer> {
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sender);
        self.send(subject, Some(inbox), body);
        match tokio::time::timeout(Duration::from_secs(30), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(format!("no answer to {subject}")),
        }
    }
}

/// Writes what is queued, as much as there is at once.
async fn write_all(mut write: OwnedWriteHalf, mut queued: mpsc::UnboundedReceiver<Vec<u8>>) {
    let mut chunks = Vec::new();
    while queued.recv_many(&mut chunks, 1024).await > 0 {
        if write.write_all(&chunks.concat()).await.is_err() {
            return;
        }
        chunks.clear();
    }
}

/// `MSG <subject> <sid> [reply] <bytes>` and `HMSG <subject> <sid> [reply] <bytes of headers> <bytes>`, until the server goes.
async fn read_all(read: OwnedReadHalf, waiting: Waiting, outgoing: mpsc::UnboundedSender<Vec<u8>>) {
    let mut read = BufReader::with_capacity(64 << 10, read);
    let mut line = String::new();
    loop {
        line.clear();
        if read.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok());
            let (reply, headers, total) = match (words.first().copied(), words.len()) {
                (Some("PING"), _) => {
                    let _ = outgoing.send(b"PONG\r\n".to_vec());
                    continue;
                }
                (Some("MSG"), 4) => (None, Some(0), number(3)),
                (Some("MSG"), 5) => (Some(words[3]), Some(0), number(4)),
                (Some("HMSG"), 5) => (None, number(3), number(4)),
                (Some("HMSG"), 6) => (Some(words[3]), number(4), number(5)),
                _ => continue,
            };
            let (Some(headers), Some(total)) = (headers, total) else { return };
            let mut body = vec![0; total + 2];
            if read.read_exact(&mut body).await.is_err() {
                return;
            }
            let answer = Answer { reply: reply.map(str::to_owned), body: body[headers..total].to_vec() };
            let request = words[1].rsplit('.').next().and_then(|number| number.parse().ok());
            let key = match (number(2).map(|subscription| subscription as u64), request) {
                (Some(SHARED), Some(request)) => (SHARED, request),
                (Some(own), _) => (own, 0),
                (None, _) => return,
            };
            let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if let Some(sender) = sender {
                let _ = sender.send(answer);
            }
        } else {
            return;
        }
    }
}
