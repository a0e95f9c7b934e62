//! Against a server that breaks off.

use super::{S3Bucket, S3Settings};
use crate::engine::{BoxFuture, BucketEngine, EngineError, EngineResult, SecretEngine, collect};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Key;

impl SecretEngine for Key {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async { Ok(Some(r#"{"access_key_id": "a", "secret_access_key": "b"}"#.to_owned())) })
    }

    fn how_to_provide(&self, _: &str) -> String {
        String::new()
    }
}

/// A bucket on a server that sends these texts, one a connection, and hangs up; and the heads of the requests.
async fn bucket(answers: Vec<String>) -> (S3Bucket, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let heads = seen.clone();
    tokio::spawn(async move {
        for answer in answers {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut request = String::new();
            let mut wanted = None;
            while wanted.is_none_or(|wanted| request.len() < wanted) {
                let mut some = vec![0; 64 << 10];
                let read = connection.read(&mut some).await.expect("a request");
                request.push_str(&String::from_utf8_lossy(&some[..read]));
                wanted = wanted.or_else(|| {
                    let end = request.find("\r\n\r\n")? + 4;
                    let mut lengths = request[..end].lines().filter_map(|line| line.strip_prefix("content-length: "));
                    Some(end + lengths.next_back().map_or(0, |length| length.parse().expect("a length")))
                });
            }
            let end = request.find("\r\n\r\n").expect("a head");
            heads.lock().expect("unpoisoned").push(request[..end].to_owned());
            connection.write_all(answer.as_bytes()).await.expect("an answer");
        }
    });
    let settings = S3Settings {
        endpoint: Some(endpoint),
        bucket: "reports".to_owned(),
        region: "eu-1".to_owned(),
        credentials_secret: Some("s3".to_owned()),
        prefix: String::new(),
    };
    (S3Bucket::new(settings, Arc::new(Key)).expect("a bucket"), seen)
}

fn answer(status: &str, headers: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_read_on() {
    let rest = |range: &str, length, body| {
        answer("206 Partial Content", &format!("etag: \"e\"\r\ncontent-range: bytes {range}/10\r\n"), length, body)
    };
    let whole = answer("200 OK", "etag: \"e\"\r\n", 10, "0123");
    let (bucket, seen) = bucket(vec![whole, rest("4-9", 6, "45"), rest("6-9", 4, "6789")]).await;
    let reading = bucket.read("reports", "a", None).await.expect("read").expect("a blob");
    assert_eq!(collect(reading.body).await.expect("all of it"), "0123456789");
    let seen = seen.lock().expect("unpoisoned");
    for (head, range) in seen[1..].iter().zip(["range: bytes=4-9", "range: bytes=6-9"]) {
        assert!(head.contains(range) && head.contains("if-match: \"e\""), "{head}");
    }
}

#[tokio::test]
async fn a_blob_that_changed_meanwhile_is_no_part_of_the_old_one() {
    let whole = answer("200 OK", "etag: \"e\"\r\n", 10, "0123");
    let gone = answer("412 Precondition Failed", "", 0, "");
    let (bucket, _) = bucket(vec![whole, gone]).await;
    let reading = bucket.read("reports", "a", None).await.expect("read").expect("a blob");
    let error = collect(reading.body).await.expect_err("half of it");
    assert!(matches!(error, EngineError::Unavailable(_)), "{error:?}");
}

/// The server says 200 before it has put the parts together.
#[tokio::test]
async fn an_upload_that_fails_at_last_is_no_success() {
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let failed = "<Error><Code>InternalError</Code><Message>try again</Message></Error>";
    let answers = vec![
        answer("200 OK", "", begun.len(), begun),
        answer("200 OK", "etag: \"p\"\r\n", 0, ""),
        answer("200 OK", "", failed.len(), failed),
        answer("204 No Content", "", 0, ""),
    ];
    let (bucket, seen) = bucket(answers).await;
    let body = stream::iter([Ok(Bytes::from(vec![0; 8 << 20]))]).boxed();
    let error = bucket.write("reports", "a", body, None).await.expect_err("it failed");
    assert!(matches!(&error, EngineError::Unavailable(text) if text.contains("try again")), "{error:?}");
    while seen.lock().expect("unpoisoned").len() < 4 {
        tokio::task::yield_now().await;
    }
    assert!(
        seen.lock().expect("unpoisoned")[3].starts_with("DELETE /reports/a?uploadId=u "),
        "what was sent is given up"
    );
}
