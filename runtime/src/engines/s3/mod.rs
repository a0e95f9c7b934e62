//! Buckets on an S3-compatible server. Credentials are a secret, read at each use, so that rotated ones need no restart.

mod parts;
mod reading;
#[cfg(test)]
mod tests;

use crate::engine::{
    BoxFuture, BucketEngine, ByteStream, EngineError, EngineResult, ExpectBlob, Meta, Page, Presign, Reading,
    SecretEngine, check_blob_key, within,
};
use crate::engines::Probe;
use crate::engines::aws::{Account, Call, Element, Failure, Repeat, Service};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use parts::{PART_BYTES, next_part};
use reading::{Asked, meta};
use std::ops::Range;
use std::sync::Arc;

/// What S3 says of a blob that was given no type.
const NO_TYPE: &str = "binary/octet-stream";
/// Where buckets are whose address nobody names.
const AWS: &str = "AWS";

/// Where a bucket lies.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// `https://…` or `http://…`; AWS's own if absent.
    pub endpoint: Option<String>,
    /// The bucket's name.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// The id of the secret that holds `{"access_key_id", "secret_access_key", "session_token"?}` as JSON. Without one, the
    /// environment's: a role that the cluster gives the process.
    pub credentials_secret: Option<String>,
    /// What every object's key starts with.
    pub prefix: String,
}

/// A bucket.
pub struct S3Bucket {
    place: Place,
    prefix: String,
}

/// A bucket on a server.
#[derive(Clone)]
struct Place {
    service: Service,
    bucket: Arc<str>,
    endpoint: Arc<str>,
}

impl S3Bucket {
    /// A bucket; nothing is reached yet.
    ///
    /// # Errors
    /// If the settings can't be right.
    pub fn new(settings: S3Settings, secrets: Arc<dyn SecretEngine>) -> EngineResult<Self> {
        let account = match &settings.credentials_secret {
            Some(secret) => Account::of_secret(&settings.region, secrets, secret)?,
            None => Account::in_region(&settings.region)?,
        };
        let account = match &settings.endpoint {
            Some(endpoint) => account.at(endpoint),
            None => account,
        };
        let whole = Self::of_account(&account, &settings.bucket)?;
        let place = Place { endpoint: settings.endpoint.as_deref().unwrap_or(AWS).into(), ..whole.place };
        Ok(S3Bucket { place, prefix: settings.prefix })
    }

    /// The whole bucket of this name, of AWS's own; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn of_account(account: &Account, bucket: &str) -> EngineResult<Self> {
        let place = Place { service: account.service("s3")?, bucket: bucket.into(), endpoint: AWS.into() };
        Ok(S3Bucket { place, prefix: String::new() })
    }

    fn path(&self, key: &str) -> EngineResult<String> {
        check_blob_key(key)?;
        Ok(self.place.path(&format!("{}{key}", self.prefix)))
    }

    async fn put_whole(
        &self,
        key: &str,
        body: Bytes,
        content_type: Option<&str>,
        expect: ExpectBlob,
    ) -> EngineResult<Option<String>> {
        let call = Call::new(Method::PUT, self.path(key)?).header(CONTENT_TYPE, content_type.unwrap_or(NO_TYPE))?;
        let mut call = match &expect {
            ExpectBlob::Anything => call,
            ExpectBlob::Absent => call.header(IF_NONE_MATCH, "*")?,
            ExpectBlob::Etag(etag) => call.header(IF_MATCH, etag)?,
        };
        call.body = body;
        // Sent again, it would meet what it wrote itself.
        call.repeat = if expect == ExpectBlob::Anything { Repeat::Always } else { Repeat::IfUndone };
        match self.place.service.send(&call).await? {
            Ok(answer) => Ok(Some(text(answer.headers(), &ETAG))),
            Err(failure) if failure.status == StatusCode::PRECONDITION_FAILED => Ok(None),
            // Where nothing is, nothing has that etag.
            Err(failure) if matches!(expect, ExpectBlob::Etag(_)) && is_no_blob(&failure) => Ok(None),
            Err(failure) => Err(self.place.explain(&failure)),
        }
    }
}

impl Place {
    fn path(&self, key: &str) -> String {
        format!("/{}/{key}", self.bucket)
    }

    fn explain(&self, failure: &Failure) -> EngineError {
        let bucket = &self.bucket;
        match &*failure.code {
            "NoSuchBucket" => failure.explained(&format!("there is no bucket `{bucket}`")),
            _ => failure.explained(&format!("the bucket `{bucket}`")),
        }
    }
}

/// Whether the bucket has no such blob. (To `HEAD` a server can't say what is absent.)
fn is_no_blob(failure: &Failure) -> bool {
    failure.status == StatusCode::NOT_FOUND && failure.code != "NoSuchBucket"
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

impl BucketEngine for S3Bucket {
    fn system(&self) -> &'static str {
        "s3"
    }

    fn head<'a>(&'a self, _: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Meta>>> {
        Box::pin(async move {
            match self.place.service.send(&Call::new(Method::HEAD, self.path(key)?)).await? {
                Ok(answer) => Ok(Some(meta(answer.headers(), None)?)),
                Err(failure) if is_no_blob(&failure) => Ok(None),
                Err(failure) => Err(self.place.explain(&failure)),
            }
        })
    }

    fn read<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, EngineResult<Option<Reading>>> {
        Box::pin(async move {
            let asked = Asked { path: self.path(key)?, range: range.clone(), etag: None };
            // S3 has no answer for a range that holds nothing.
            if !range.as_ref().is_some_and(|range| range.is_empty()) {
                match asked.send(&self.place).await? {
                    Ok(reading) => return Ok(Some(reading)),
                    Err(failure) if is_no_blob(&failure) => return Ok(None),
                    Err(failure) if failure.status == StatusCode::RANGE_NOT_SATISFIABLE => {}
                    Err(failure) => return Err(self.place.explain(&failure)),
                }
            }
            let Some(meta) = self.head(bucket, key).await? else { return Ok(None) };
            let range = within(range, meta.size);
            let end = range.start..range.start;
            Ok(Some(Reading { meta, range: end, body: stream::empty().boxed() }))
        })
    }

    fn put<'a>(
        &'a self,
        _: &'a str,
        key: &'a str,
        body: Bytes,
        content_type: Option<&'a str>,
        expect: ExpectBlob,
    ) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(self.put_whole(key, body, content_type, expect))
    }

    fn write<'a>(
        &'a self,
        _: &'a str,
        key: &'a str,
        mut body: ByteStream<'a>,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            let path = self.path(key)?;
            let first = next_part(&mut body).await?.unwrap_or_default();
            if first.len() < PART_BYTES {
                return self.put_whole(key, first, content_type, ExpectBlob::Anything).await.map(|_| ());
            }
            self.place.put_parts(path, first, body, content_type).await
        })
    }

    fn delete<'a>(&'a self, _: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            // One `DELETE` needs no right but to delete, and every server knows it.
            match self.place.service.send(&Call::new(Method::DELETE, self.path(key)?)).await? {
                Err(failure) if !is_no_blob(&failure) => Err(self.place.explain(&failure)),
                _ => Ok(()),
            }
        })
    }

    fn list<'a>(
        &'a self,
        _: &'a str,
        prefix: &'a str,
        from: Option<String>,
        limit: usize,
    ) -> BoxFuture<'a, EngineResult<Page<String>>> {
        Box::pin(async move {
            let mut call = Call::new(Method::GET, format!("/{}", self.place.bucket)).query("list-type", "2");
            call = call.query("max-keys", &limit.max(1).to_string());
            let prefix = format!("{}{prefix}", self.prefix);
            if !prefix.is_empty() {
                call = call.query("prefix", &prefix);
            }
            // By the last key, not by the server's token: a place in a listing then outlives the server's memory of it.
            if let Some(key) = from {
                call = call.query("start-after", &format!("{}{key}", self.prefix));
            }
            let listed = self.place.service.ask(&call).await?.map_err(|failure| self.place.explain(&failure))?;
            let strange = || EngineError::Unavailable(format!("{} does not list keys", self.place.endpoint));
            let listed = Element::read(&listed).filter(|root| root.name == "ListBucketResult").ok_or_else(strange)?;
            let keys = listed.all("Contents").filter_map(|object| object.text_of("Key")?.strip_prefix(&*self.prefix));
            let keys: Vec<&str> = keys.collect();
            let more = listed.text_of("IsTruncated") == Some("true");
            let next = keys.last().filter(|_| more).map(|key| (*key).to_owned());
            // A bucket that others use may hold what is no key here.
            let items = keys.into_iter().filter(|key| check_blob_key(key).is_ok()).map(str::to_owned).collect();
            Ok(Page { items, next })
        })
    }

    fn presign<'a>(&'a self, _: &'a str, key: &'a str, asked: Presign<'a>) -> BoxFuture<'a, EngineResult<String>> {
        Box::pin(async move {
            let mut call = Call::new(asked.method, self.path(key)?);
            if let Some(content_type) = asked.content_type {
                call = call.header(CONTENT_TYPE, content_type)?;
            }
            self.place.service.presign(&call, asked.lifetime).await
        })
    }
}

impl Probe for S3Bucket {
    fn name(&self) -> String {
        format!("the bucket `{}` at {}", self.place.bucket, self.place.endpoint)
    }

    fn probe(&self) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async {
            match self.list("", "", None, 1).await {
                // Credentials that may not list are no wrong ones: whatever the unit may do, it will be told then.
                Err(EngineError::Refused(reason)) if reason.contains("AccessDenied") => {
                    tracing::warn!(bucket = &*self.place.bucket, "the credentials may not list the bucket");
                    Ok(())
                }
                listed => listed.map(|_| ()),
            }
        })
    }
}
