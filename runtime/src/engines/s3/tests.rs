//! Against a server that breaks off.

use super::{S3Bucket, S3Settings};
use crate::engine::{BucketEngine, EngineError, EngineResult, collect};
use crate::engines::aws::tests::{OneSecret, SECRET};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
    (S3Bucket::new(settings, Arc::new(OneSecret(SECRET))).expect("a bucket"), seen)
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

/// A server, or what stands before it, that knows nothing of conditions.
#[tokio::test]
async fn a_rest_that_is_none_of_what_was_asked_for_is_refused() {
    for (etag, range, body) in
        [("other", "4-9/10", "456789"), ("e", "0-5/10", "012345"), ("e", "4-8/9", "45678"), ("e", "4-9/11", "456789")]
    {
        let whole = answer("200 OK", "etag: \"e\"\r\n", 10, "0123");
        let headers = format!("etag: \"{etag}\"\r\ncontent-range: bytes {range}\r\n");
        let rest = answer("206 Partial Content", &headers, body.len(), body);
        let (bucket, _) = bucket(vec![whole, rest]).await;
        let reading = bucket.read("reports", "a", None).await.expect("read").expect("a blob");
        let error = collect(reading.body).await.expect_err("half of it");
        assert!(matches!(error, EngineError::Unavailable(_)), "{etag} {range}: {error:?}");
    }
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    for (range, works) in [("2-4/10", true), ("2-3/4", true), ("0-4/10", false), ("2-9/10", false)] {
        let length = range.split(['-', '/']).map(|number| number.parse::<usize>().expect("a number"));
        let length = length.collect::<Vec<_>>();
        let length = length[1] + 1 - length[0];
        let headers = format!("etag: \"e\"\r\ncontent-range: bytes {range}\r\n");
        let part = answer("206 Partial Content", &headers, length, &"x".repeat(length));
        let (bucket, _) = bucket(vec![part]).await;
        let read = bucket.read("reports", "a", Some(2..5)).await;
        assert_eq!(read.is_ok(), works, "{range}");
    }
}

/// What becomes of a blob of one part whose end is answered so, and with how many requests.
async fn written(ends: Vec<String>) -> (EngineResult<()>, Vec<String>) {
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let mut answers = vec![answer("200 OK", "", begun.len(), begun), answer("200 OK", "etag: \"p\"\r\n", 0, "")];
    answers.extend(ends);
    let all = answers.len();
    let (bucket, seen) = bucket(answers).await;
    let body = stream::iter([Ok(Bytes::from(vec![0; 8 << 20]))]).boxed();
    let outcome = bucket.write("reports", "a", body, None).await;
    let asked = async {
        while seen.lock().expect("unpoisoned").len() < all {
            tokio::task::yield_now().await;
        }
    };
    let asked = tokio::time::timeout(std::time::Duration::from_secs(30), asked).await;
    asked.unwrap_or_else(|_| panic!("not asked so often: {outcome:?} {seen:?}"));
    let seen = seen.lock().expect("unpoisoned").clone();
    (outcome, seen)
}

fn said(status: &str, xml: &str) -> String {
    answer(status, "", xml.len(), xml)
}

/// The server says 200 before it has put the parts together.
#[tokio::test]
async fn an_upload_that_fails_at_last_is_no_success() {
    let gone = || answer("204 No Content", "", 0, "");
    for (end, words) in [
        ("<Error><Code>InternalError</Code><Message>try again</Message></Error>", "try again"),
        ("<html>All is well</html>", "does not say"),
        ("", "does not say"),
    ] {
        let (outcome, seen) = written(vec![said("200 OK", end), gone()]).await;
        let error = outcome.expect_err("it failed");
        assert!(matches!(&error, EngineError::Unavailable(text) if text.contains(words)), "{error:?}");
        assert!(seen[3].starts_with("DELETE /reports/a?uploadId=u "), "what was sent is given up: {seen:?}");
    }
    let done =
        "<?xml version=\"1.0\"?>\n   \n<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
    let (outcome, _) = written(vec![said("200 OK", done)]).await;
    outcome.expect("it is there");
}

/// Repeated, it would put back what somebody else may have written over since.
#[tokio::test]
async fn an_end_that_may_have_been_done_is_not_repeated() {
    let (outcome, seen) = written(vec![said("500 Internal Server Error", ""), said("204 No Content", "")]).await;
    assert!(matches!(outcome, Err(EngineError::Unavailable(_))), "{outcome:?}");
    assert!(seen[3].starts_with("DELETE "), "{seen:?}");
}

#[tokio::test]
async fn only_a_bucket_that_is_absent_is_said_to_be() {
    for (code, absent) in [("NoSuchUpload", false), ("NoSuchBucket", true)] {
        let failed = format!("<Error><Code>{code}</Code><Message>gone</Message></Error>");
        let (outcome, _) = written(vec![said("404 Not Found", &failed), said("204 No Content", "")]).await;
        let error = outcome.expect_err("it failed").to_string();
        assert_eq!(error.contains("there is no bucket"), absent, "{error}");
    }
}
