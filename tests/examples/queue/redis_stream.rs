//! Redis as a reliable queue: a stream with one consumer group.

use super::{BODY, Outcome, Queue};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use std::path::Path;
use std::process::Command;
use updraft::engine::BoxFuture;
use updraft_tests::servers::{Process, free_port, program};

pub(super) struct RedisStream(MultiplexedConnection);

pub(super) async fn start(folder: &Path) -> Outcome<(Process, RedisStream)> {
    let port = free_port();
    let mut command = Command::new(program("redis-server").ok_or("no redis-server")?);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]).arg("--dir").arg(folder);
    let server = Process::listening(&mut command, port);
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/0")).map_err(said)?;
    let mut connection = client.get_multiplexed_async_connection().await.map_err(said)?;
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg("orders").arg("workers").arg("$").arg("MKSTREAM");
    create.query_async::<Value>(&mut connection).await.map_err(said)?;
    Ok((server, RedisStream(connection)))
}

impl Queue for RedisStream {
    fn cycle(&self, client: usize) -> BoxFuture<'_, Outcome<()>> {
        Box::pin(async move {
            let mut connection = self.0.clone();
            let mut add = redis::cmd("XADD");
            add.arg("orders").arg("*").arg("body").arg(BODY);
            add.query_async::<Value>(&mut connection).await.map_err(said)?;
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg("workers").arg(client).arg("COUNT").arg(1).arg("STREAMS").arg("orders").arg(">");
            type Streams = Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>;
            let streams: Streams = read.query_async(&mut connection).await.map_err(said)?;
            let entry = streams.first().and_then(|(_, entries)| entries.first()).ok_or("nothing to take")?;
            let mut done = redis::pipe();
            done.cmd("XACK").arg("orders").arg("workers").arg(&entry.0).cmd("XDEL").arg("orders").arg(&entry.0);
            let (acknowledged, _): (u64, u64) = done.query_async(&mut connection).await.map_err(said)?;
            if acknowledged == 1 { Ok(()) } else { Err("it was not ours".into()) }
        })
    }
}

fn said(error: RedisError) -> String {
    format!("redis: {error}")
}
