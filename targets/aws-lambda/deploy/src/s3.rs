//! What is asked of S3. Each request names the account that the bucket must belong to, so that nothing is ever written to a
//! stranger's.

use crate::client::{Ask, Client, Element, Service};
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What stands in a path as it is.
const IN_PATHS: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A bucket of an account's.
#[derive(Clone, Debug)]
pub(crate) struct Bucket<'a> {
    pub(crate) client: &'a Client,
    pub(crate) name: &'a str,
    /// Whose it must be.
    pub(crate) owner: &'a str,
    /// `aws`, `aws-cn`: what ARNs of the account begin with.
    pub(crate) partition: &'a str,
}

impl Bucket<'_> {
    /// The bucket itself, or an object's address.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("{}/{}", self.client.bucket(self.name), utf8_percent_encode(key, &IN_PATHS))
    }

    async fn ask(
        &self,
        action: &'static str,
        method: Method,
        rest: &str,
        more: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Bytes> {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, value: &str| {
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        };
        // One that is being made belongs to nobody yet.
        let made = action == "CreateBucket";
        if !made {
            add(HeaderName::from_static("x-amz-expected-bucket-owner"), self.owner);
        }
        if method == Method::PUT && !made {
            add(HeaderName::from_static("x-amz-sdk-checksum-algorithm"), "SHA256");
            add(HeaderName::from_static("x-amz-checksum-sha256"), &STANDARD.encode(Sha256::digest(&body)));
        }
        for (name, value) in more {
            add(name.clone(), value);
        }
        let url = format!("{}/{rest}", self.client.bucket(self.name));
        let ask = Ask { service: Service::S3, action, method, url, headers, body };
        Ok(self.client.ask(ask).await?.body)
    }

    /// Whether there is one that may be used. A refusal says why not.
    pub(crate) async fn exists(&self) -> Result<bool> {
        found(self.ask("ListBucket", Method::HEAD, "", &[], Bytes::new()).await)
    }

    /// Makes it.
    pub(crate) async fn create(&self) -> Result<()> {
        // The first of all regions is the one that may not be named.
        let body = match self.client.region() {
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}\
                 </LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        match self.ask("CreateBucket", Method::PUT, "", &[], body.into()).await {
            // Another run made it just now.
            Err(Error::Refused(refusal)) if refusal.code == "BucketAlreadyOwnedByYou" => Ok(()),
            made => made.map(drop),
        }
    }

    /// Sets one of its configurations: `publicAccessBlock`.
    pub(crate) async fn configure(&self, action: &'static str, what: &str, body: String) -> Result<()> {
        self.ask(action, Method::PUT, &format!("?{what}"), &[], body.into()).await.map(drop)
    }

    /// Whether it has a policy.
    pub(crate) async fn has_policy(&self) -> Result<bool> {
        found(self.ask("GetBucketPolicy", Method::GET, "?policy=", &[], Bytes::new()).await)
    }

    /// Whether there is such an object.
    pub(crate) async fn has(&self, key: &str) -> Result<bool> {
        found(self.ask("GetObject", Method::HEAD, &path(key), &[], Bytes::new()).await)
    }

    /// Writes an object.
    pub(crate) async fn put(&self, key: &str, kind: &str, body: Bytes) -> Result<()> {
        self.ask("PutObject", Method::PUT, &path(key), &[(CONTENT_TYPE, kind)], body).await.map(drop)
    }

    /// Reads an object; `None` if there is none.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        match self.ask("GetObject", Method::GET, &path(key), &[], Bytes::new()).await {
            Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(None),
            got => got.map(Some),
        }
    }

    /// The keys that begin so, sorted, each with when S3 says that it was written last.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, Timestamp)>> {
        let mut keys = Vec::new();
        let mut from = String::new();
        loop {
            let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let next = if from.is_empty() { String::new() } else { format!("continuation-token={}&", encoded(&from)) };
            let rest = format!("?{next}list-type=2&prefix={}", encoded(prefix));
            let body = self.ask("ListBucket", Method::GET, &rest, &[], Bytes::new()).await?;
            let unreadable = || Error::Unreadable { action: "s3:ListBucket".to_owned() };
            let root = Element::read(&body).ok_or_else(unreadable)?;
            keys.extend(root.all("Contents").filter_map(listed));
            match root.text_of("NextContinuationToken").filter(|token| !token.is_empty()) {
                Some(token) => from = token.to_owned(),
                None => return Ok(keys),
            }
        }
    }
}

fn listed(entry: &Element) -> Option<(String, Timestamp)> {
    let written = entry.text_of("LastModified").and_then(|text| text.parse().ok());
    Some((entry.text_of("Key")?.to_owned(), written.unwrap_or_default()))
}

fn path(key: &str) -> String {
    utf8_percent_encode(key, &IN_PATHS).to_string()
}

fn found(answer: Result<Bytes>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(false),
        Err(error) => Err(error),
    }
}
