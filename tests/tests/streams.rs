//! WebSockets and server-sent events through axum, against a whole process: they outlive their handler's timeout, keep the
//! capabilities that it took, and end with the process.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use updraft_tests::process::{Running, Setup};
use updraft_tests::servers::Redis;

const DEPOT: &str = env!("CARGO_BIN_EXE_depot");
/// Past the handlers' timeout of a second.
const LONG: Duration = Duration::from_millis(1_500);

async fn streams(redis: &Redis) -> Running {
    let engine = json!({ "engine": "redis", "url_secret": "redis-url" });
    let setup = Setup::depot().bind("resources/store/done", engine).secret("redis-url", &redis.url());
    setup.start(DEPOT, "streams", "public").ready().await
}

fn authority(unit: &Running) -> String {
    unit.url("").trim_start_matches("http://").trim_end_matches('/').to_owned()
}

#[tokio::test]
async fn a_websocket_keeps_its_capabilities_and_is_told_of_the_end() {
    let Some(redis) = Redis::start() else { return };
    let mut unit = streams(&redis).await;
    let url = format!("ws://{}/live", authority(&unit));
    let (mut socket, answer) = tokio_tungstenite::connect_async(&url).await.expect("an upgrade");
    assert_eq!(answer.status(), 101);
    for expected in ["one 1", "one 2"] {
        socket.send(Message::text("one")).await.expect("it is open");
        let answer = socket.next().await.expect("an answer").expect("a message");
        assert_eq!(answer.to_text().expect("text"), expected);
        tokio::time::sleep(LONG).await;
    }
    unit.terminate();
    let last = socket.next().await.expect("a frame").expect("a close frame and no broken connection");
    let Message::Close(Some(frame)) = last else { panic!("{last:?}") };
    assert_eq!(frame.code, CloseCode::Away);
    drop(socket);
    assert_eq!(unit.ended().await.code(), Some(0));
    assert!(!unit.log().contains("still open"), "{}", unit.log());
}

#[tokio::test]
async fn a_websocket_whose_client_says_nothing_ends_too() {
    let Some(redis) = Redis::start() else { return };
    let mut unit = streams(&redis).await;
    let url = format!("ws://{}/live", authority(&unit));
    let (socket, _) = tokio_tungstenite::connect_async(&url).await.expect("an upgrade");
    unit.terminate();
    assert_eq!(unit.ended().await.code(), Some(0));
    assert!(!unit.log().contains("still open"), "{}", unit.log());
    drop(socket);
}

#[tokio::test]
async fn server_sent_events_outlive_the_timeout_and_end_whole() {
    let Some(redis) = Redis::start() else { return };
    let mut unit = streams(&redis).await;
    let mut stream = TcpStream::connect(authority(&unit)).await.expect("it listens");
    stream.write_all(b"GET /ticks HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    // Ten a second at most: past the timeout.
    while String::from_utf8_lossy(&all).matches("data: 0").count() < 15 {
        let read = stream.read(&mut part).await.expect("it goes on");
        assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&part[..read]);
    }
    unit.terminate();
    stream.read_to_end(&mut all).await.expect("it is closed in order");
    let all = String::from_utf8_lossy(&all);
    assert!(all.ends_with("0\r\n\r\n"), "to its end, not cut off: {all}");
    assert_eq!(unit.ended().await.code(), Some(0));
}
