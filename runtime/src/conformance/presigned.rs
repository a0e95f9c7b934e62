//! What presigned URLs allow, and to whom they do not.

use super::Conditions;
use crate::engine::{BoxFuture, BucketEngine, ExpectBlob, Presign};
use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{Method, Request, Response};
use std::sync::Arc;
use std::time::Duration;

/// Sends a request as somebody without credentials does.
pub type Ask = Box<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync>;

const MINUTE: Duration = Duration::from_secs(60);

/// All promises of presigned URLs, on a bucket without blobs.
///
/// # Panics
/// At the first that is not kept.
pub async fn presigned(engine: Arc<dyn BucketEngine>, id: &str, ask: &Ask, conditions: &Conditions) {
    let suite = Suite { engine, id: id.to_owned(), ask };
    suite.gets_a_blob_and_parts_of_it().await;
    suite.puts_what_is_asked_to_be().await;
    suite.allows_nothing_else().await;
    suite.ends_in_time(conditions).await;
}

struct Suite<'a> {
    engine: Arc<dyn BucketEngine>,
    id: String,
    ask: &'a Ask,
}

/// Keys whose way into a URL is not plain.
const KEYS: [&str; 6] =
    ["url/plain.txt", "url/with space", "url/ü/日本", "url/100%", "url/a&b=c?d#e", "url/it's (a) \"test\"!*+~"];

impl Suite<'_> {
    async fn url(&self, method: Method, key: &str, lifetime: Duration, content_type: Option<&str>) -> String {
        self.engine.presign(&self.id, key, Presign { method, lifetime, content_type }).await.expect("a URL")
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: &[(http::HeaderName, &str)],
        body: &str,
    ) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        (self.ask)(request.body(Bytes::from(body.to_owned())).expect("a request")).await
    }

    async fn put(&self, key: &str, body: &'static str, content_type: Option<&str>) {
        let body = Bytes::from_static(body.as_bytes());
        self.engine.put(&self.id, key, body, content_type, ExpectBlob::Anything).await.expect("put");
    }

    async fn body(&self, key: &str) -> Option<Bytes> {
        self.engine.get(&self.id, key).await.expect("get").map(|blob| blob.body)
    }

    async fn delete(&self, key: &str) {
        self.engine.delete(&self.id, key).await.expect("delete");
    }

    async fn gets_a_blob_and_parts_of_it(&self) {
        for key in KEYS {
            let url = self.url(Method::GET, key, MINUTE, None).await;
            assert_eq!(self.ask(Method::GET, &url, &[], "").await.status(), 404, "{key:?} is not there yet");
            self.put(key, "0123456789", Some("text/plain")).await;
            let answer = self.ask(Method::GET, &url, &[], "").await;
            assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"0123456789"[..]), "{key:?}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "text/plain");
            self.delete(key).await;
        }
        self.put("url/parts", "0123456789", None).await;
        let url = self.url(Method::GET, "url/parts", MINUTE, None).await;
        for (range, expected, shown) in [
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=-2", "89", "bytes 8-9/10"),
        ] {
            let answer = self.ask(Method::GET, &url, &[(RANGE, range)], "").await;
            assert_eq!((answer.status().as_u16(), &answer.body()[..]), (206, expected.as_bytes()), "{range}");
            assert_eq!(answer.headers()[CONTENT_RANGE], shown);
        }
        let answer = self.ask(Method::GET, &url, &[(RANGE, "bytes=10-")], "").await;
        assert_eq!(answer.status(), 416);
        self.delete("url/parts").await;
    }

    async fn puts_what_is_asked_to_be(&self) {
        for key in KEYS {
            let url = self.url(Method::PUT, key, MINUTE, Some("image/png")).await;
            for body in ["first", "second"] {
                let answer = self.ask(Method::PUT, &url, &[(CONTENT_TYPE, "image/png")], body).await;
                assert!(answer.status().is_success(), "{key:?}: {answer:?}");
                let blob = self.engine.get(&self.id, key).await.expect("get").expect("a blob");
                assert_eq!((&blob.body[..], blob.content_type.as_deref()), (body.as_bytes(), Some("image/png")));
            }
            self.delete(key).await;
        }
        let url = self.url(Method::PUT, "url/any", MINUTE, None).await;
        let answer = self.ask(Method::PUT, &url, &[(CONTENT_TYPE, "text/html")], "any").await;
        assert!(answer.status().is_success(), "{answer:?}");
        let meta = self.engine.head(&self.id, "url/any").await.expect("head").expect("a blob");
        assert_eq!((meta.size, meta.content_type.as_deref()), (3, Some("text/html")));
        self.delete("url/any").await;
    }

    async fn allows_nothing_else(&self) {
        self.put("url/mine", "mine", Some("text/plain")).await;
        let get = self.url(Method::GET, "url/mine", MINUTE, None).await;
        let put = self.url(Method::PUT, "url/mine", MINUTE, Some("image/png")).await;
        for (method, url, headers) in [
            (Method::PUT, &get, &[][..]),
            (Method::DELETE, &get, &[]),
            (Method::DELETE, &put, &[]),
            (Method::GET, &put, &[]),
            (Method::PUT, &put, &[]),
            (Method::PUT, &put, &[(CONTENT_TYPE, "text/html")]),
            // Its last character is of the signature.
            (Method::GET, &forged(&get), &[]),
            (Method::PUT, &forged(&put), &[(CONTENT_TYPE, "image/png")]),
        ] {
            let answer = self.ask(method.clone(), url, headers, "").await;
            assert_eq!(answer.status(), 403, "{method} {headers:?} {url}: {answer:?}");
            assert_eq!(self.body("url/mine").await.as_deref(), Some(&b"mine"[..]), "{method} {headers:?}");
        }
        self.delete("url/mine").await;
    }

    async fn ends_in_time(&self, conditions: &Conditions) {
        self.put("url/ends", "0", None).await;
        let second = Duration::from_secs(1);
        let get = self.url(Method::GET, "url/ends", second, None).await;
        let put = self.url(Method::PUT, "url/ends", second, None).await;
        let later = self.url(Method::GET, "url/ends", MINUTE, None).await;
        (conditions.pass)(second * 2 + second / 2).await;
        assert_eq!(self.ask(Method::GET, &get, &[], "").await.status(), 403, "its time is over");
        assert_eq!(self.ask(Method::PUT, &put, &[], "1").await.status(), 403, "its time is over");
        assert_eq!(self.ask(Method::GET, &later, &[], "").await.body(), "0", "this one's is not");
        self.delete("url/ends").await;
    }
}

/// With another last character.
fn forged(url: &str) -> String {
    let (rest, last) = url.split_at(url.len() - 1);
    format!("{rest}{}", if last == "0" { '1' } else { '0' })
}
