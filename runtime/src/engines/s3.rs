//! Buckets on an S3-compatible server. Credentials are a secret, read at each use, so that rotated ones need no restart.

use crate::engine::{
    BoxFuture, BucketEngine, ByteStream, EngineError, EngineResult, ExpectBlob, Meta, Page, Presign, Reading,
    SecretEngine, check_blob_key, within,
};
use crate::engines::{Probe, credentials, tls};
use bytes::{Bytes, BytesMut};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::client::{ClientOptions, CredentialProvider, HttpClient, HttpConnector, HttpError};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{
    Attribute, Attributes, BackoffConfig, GetOptions, GetRange, GetResult, MultipartUpload, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, RetryConfig, UpdateVersion,
};
use serde::Deserialize;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two pieces of an answer: large blobs may take as long as the handler may.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
/// A stream is sent in parts of so many bytes; S3's own limits for a part are 5 MiB and 5 GiB.
const PART_BYTES: usize = 8 << 20;
/// S3's limit for the parts of a blob.
const MOST_PARTS: usize = 10_000;
/// Parts of one blob that are under way at a time. With the one that is being filled, they are what a stream holds in memory.
const PARTS_AT_ONCE: usize = 2;
/// What S3 says of a blob that was given no type.
const NO_TYPE: &str = "binary/octet-stream";

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
    store: AmazonS3,
    settings: S3Settings,
}

impl S3Bucket {
    /// A bucket; nothing is reached yet.
    ///
    /// # Errors
    /// If the settings can't be right.
    pub fn new(settings: S3Settings, secrets: Arc<dyn SecretEngine>) -> EngineResult<Self> {
        tls::install_provider();
        let builder = match &settings.credentials_secret {
            None => AmazonS3Builder::from_env(),
            Some(secret) => {
                let credentials = Credentials { secrets, secret: secret.clone() };
                AmazonS3Builder::new().with_credentials(Arc::new(credentials))
            }
        };
        let builder = builder
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_allow_http(true)
            // One `DELETE` needs no right but to delete, and every server knows it.
            .with_disable_bulk_delete(true)
            .with_http_connector(Connector)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(50),
                    max_backoff: Duration::from_millis(500),
                    base: 2.0,
                },
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
            });
        let builder = match &settings.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint.trim_end_matches('/')),
            None => builder,
        };
        let wrong = |error| EngineError::Misconfigured(format!("the bucket `{}`: {error}", settings.bucket));
        let store = builder.build().map_err(wrong)?;
        Ok(S3Bucket { store, settings })
    }

    fn path(&self, key: &str) -> EngineResult<Path> {
        check_blob_key(key)?;
        Path::parse(format!("{}{key}", self.settings.prefix)).map_err(|error| EngineError::Other(error.into()))
    }

    fn explain(&self, error: object_store::Error) -> EngineError {
        explain(error, &self.settings.bucket)
    }

    /// `None` if there is no such blob.
    async fn fetch(&self, key: &str, options: GetOptions) -> EngineResult<Option<(GetResult, Meta)>> {
        let found = match self.store.get_opts(&self.path(key)?, options).await {
            Ok(found) => found,
            Err(error @ object_store::Error::NotFound { .. }) if !says(&error, "NoSuchBucket") => return Ok(None),
            Err(error) => return Err(self.explain(error)),
        };
        let content_type = found.attributes.get(&Attribute::ContentType).map(|value| value.as_ref().to_owned());
        let meta = Meta {
            size: found.meta.size,
            etag: found.meta.e_tag.clone().unwrap_or_default(),
            content_type: content_type.filter(|content_type| content_type != NO_TYPE),
            modified: Timestamp::from_second(found.meta.last_modified.timestamp()).unwrap_or_default(),
        };
        Ok(Some((found, meta)))
    }

    async fn put_whole(
        &self,
        key: &str,
        body: PutPayload,
        content_type: Option<&str>,
        mode: PutMode,
    ) -> EngineResult<Option<String>> {
        let options = PutOptions { attributes: attributes(content_type), mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path(key)?, body, options).await {
            Ok(put) => Ok(Some(put.e_tag.unwrap_or_default())),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Sends a stream in parts, of which `first` is the first.
    async fn put_parts(
        &self,
        key: &str,
        first: Bytes,
        mut body: ByteStream<'_>,
        content_type: Option<&str>,
    ) -> EngineResult<()> {
        let options = PutMultipartOptions { attributes: attributes(content_type), ..PutMultipartOptions::default() };
        let upload = self.store.put_multipart_opts(&self.path(key)?, options).await;
        let mut upload = Unfinished(Some(upload.map_err(|error| self.explain(error))?));
        let mut under_way = FuturesUnordered::new();
        let (mut part, mut parts) = (Some(first), 0);
        while let Some(bytes) = part {
            parts += 1;
            if parts > MOST_PARTS {
                let limit = MOST_PARTS * PART_BYTES;
                return Err(EngineError::TooLarge { bytes: limit + bytes.len(), limit });
            }
            while under_way.len() >= PARTS_AT_ONCE {
                under_way.try_next().await.map_err(|error| self.explain(error))?;
            }
            under_way.extend(upload.0.as_mut().map(|upload| upload.put_part(bytes.into())));
            part = next_part(&mut body).await?;
        }
        while under_way.try_next().await.map_err(|error| self.explain(error))?.is_some() {}
        drop(under_way);
        if let Some(whole) = &mut upload.0 {
            whole.complete().await.map_err(|error| self.explain(error))?;
        }
        upload.0 = None;
        Ok(())
    }
}

/// A blob in parts that is not there yet: what was sent of it is given up when this is dropped. (If the process ends
/// meanwhile, a lifecycle rule of the bucket has to.)
struct Unfinished(Option<Box<dyn MultipartUpload>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(mut upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "the parts of a blob that was given up are still there");
                }
            });
        }
    }
}

/// A whole part, or what is left; `None` if nothing is.
async fn next_part(body: &mut ByteStream<'_>) -> EngineResult<Option<Bytes>> {
    let mut part = BytesMut::new();
    while part.len() < PART_BYTES {
        let Some(piece) = body.try_next().await? else { break };
        part.extend_from_slice(&piece);
    }
    Ok((!part.is_empty()).then(|| part.freeze()))
}

fn attributes(content_type: Option<&str>) -> Attributes {
    Attributes::from_iter([(Attribute::ContentType, content_type.unwrap_or(NO_TYPE).to_owned())])
}

impl BucketEngine for S3Bucket {
    fn system(&self) -> &'static str {
        "s3"
    }

    fn head<'a>(&'a self, _: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<Option<Meta>>> {
        Box::pin(async move {
            let options = GetOptions { head: true, ..GetOptions::default() };
            Ok(self.fetch(key, options).await?.map(|(_, meta)| meta))
        })
    }

    fn read<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        range: Option<Range<u64>>,
    ) -> BoxFuture<'a, EngineResult<Option<Reading>>> {
        Box::pin(async move {
            // S3 has no answer for a range that holds nothing.
            let empty = range.as_ref().is_some_and(|range| range.is_empty());
            let to_the_end = |range: &Range<u64>| i64::try_from(range.end).is_err();
            let part = range.clone().map(|range| match to_the_end(&range) {
                true => GetRange::Offset(range.start),
                false => GetRange::Bounded(range),
            });
            let options = GetOptions { range: part, ..GetOptions::default() };
            let found = if empty { Err(None) } else { self.fetch(key, options).await.map_err(Some) };
            let (found, meta) = match found {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(None),
                Err(Some(error)) if range.is_none() => return Err(error),
                Err(error) => {
                    let Some(meta) = self.head(bucket, key).await? else { return Ok(None) };
                    let range = within(range, meta.size);
                    return match error {
                        Some(error) if !range.is_empty() => Err(error),
                        _ => Ok(Some(Reading { meta, range, body: stream::empty().boxed() })),
                    };
                }
            };
            let (range, bucket) = (found.range.clone(), self.settings.bucket.clone());
            let body = found.into_stream().map_err(move |error| explain(error, &bucket)).boxed();
            Ok(Some(Reading { meta, range, body }))
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
        Box::pin(async move {
            let mode = match expect {
                ExpectBlob::Anything => PutMode::Overwrite,
                ExpectBlob::Absent => PutMode::Create,
                ExpectBlob::Etag(etag) => PutMode::Update(UpdateVersion { e_tag: Some(etag), version: None }),
            };
            self.put_whole(key, body.into(), content_type, mode).await
        })
    }

    fn write<'a>(
        &'a self,
        _: &'a str,
        key: &'a str,
        mut body: ByteStream<'a>,
        content_type: Option<&'a str>,
    ) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            check_blob_key(key)?;
            let first = next_part(&mut body).await?.unwrap_or_default();
            if first.len() < PART_BYTES {
                return self.put_whole(key, first.into(), content_type, PutMode::Overwrite).await.map(|_| ());
            }
            self.put_parts(key, first, body, content_type).await
        })
    }

    fn delete<'a>(&'a self, _: &'a str, key: &'a str) -> BoxFuture<'a, EngineResult<()>> {
        Box::pin(async move {
            match self.store.delete(&self.path(key)?).await {
                Err(error @ object_store::Error::NotFound { .. }) if !says(&error, "NoSuchBucket") => Ok(()),
                deleted => deleted.map_err(|error| self.explain(error)),
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
            // By the last key, not by the server's token: a place in a listing then outlives the server's memory of it.
            let offset = from.map(|key| format!("{}{key}", self.settings.prefix));
            let options = PaginatedListOptions { offset, max_keys: Some(limit.max(1)), ..Default::default() };
            let prefix = format!("{}{prefix}", self.settings.prefix);
            let listed = self.store.list_paginated((!prefix.is_empty()).then_some(&*prefix), options).await;
            let listed = listed.map_err(|error| self.explain(error))?;
            let ours = |path: &Path| path.as_ref().strip_prefix(&*self.settings.prefix).map(str::to_owned);
            let items: Vec<_> = listed.result.objects.iter().filter_map(|object| ours(&object.location)).collect();
            let next = listed.page_token.and_then(|_| items.last().cloned());
            Ok(Page { items, next })
        })
    }

    fn presign<'a>(&'a self, _: &'a str, key: &'a str, asked: Presign<'a>) -> BoxFuture<'a, EngineResult<String>> {
        Box::pin(async move {
            let mut options = SignedUrlOptions::new();
            if let Some(content_type) = asked.content_type {
                let value = HeaderValue::from_str(content_type).map_err(|error| EngineError::Other(error.into()))?;
                options = options.with_signed_header(CONTENT_TYPE, value);
            }
            let path = self.path(key)?;
            let signed = self.store.signed_url_opts(asked.method, &path, asked.lifetime, &options).await;
            Ok(signed.map_err(|error| self.explain(error))?.into())
        })
    }
}

impl Probe for S3Bucket {
    fn name(&self) -> String {
        let endpoint = self.settings.endpoint.as_deref().unwrap_or("AWS");
        format!("the bucket `{}` at {endpoint}", self.settings.bucket)
    }

    fn probe(&self) -> BoxFuture<'_, EngineResult<()>> {
        Box::pin(async {
            match self.list("", "", None, 1).await {
                // Credentials that may not list are no wrong ones: whatever the unit may do, it will be told then.
                Err(EngineError::Refused(reason)) if reason.contains("AccessDenied") => {
                    tracing::warn!(bucket = self.settings.bucket, "the credentials may not list the bucket");
                    Ok(())
                }
                listed => listed.map(|_| ()),
            }
        })
    }
}

/// Makes the HTTP client. The client's own would look for the system's CA certificates, which an empty image lacks, and
/// fail even for plain http.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let generic = |source: Box<dyn StdError + Send + Sync>| object_store::Error::Generic { store: "S3", source };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config().map_err(|error| generic(error.into()))?)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .build();
        client.map(HttpClient::new).map_err(|error| generic(error.into()))
    }
}

struct Credentials {
    secrets: Arc<dyn SecretEngine>,
    secret: String,
}

#[derive(Deserialize)]
struct CredentialsJson {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.secret)
    }
}

// The trait is an `async_trait`: spelt out, that crate isn't needed.
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    fn get_credential<'a, 'f>(&'a self) -> BoxFuture<'f, object_store::Result<Arc<AwsCredential>>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let generic = |error: EngineError| object_store::Error::Generic { store: "S3", source: error.into() };
            let json = credentials(&*self.secrets, &self.secret).await.map_err(generic)?;
            let read: Result<CredentialsJson, _> = serde_json::from_str(&json);
            // serde's message could quote the value.
            let CredentialsJson { access_key_id, secret_access_key, session_token } = read.map_err(|_| {
                let form = r#"{"access_key_id": "…", "secret_access_key": "…"}"#;
                generic(EngineError::Misconfigured(format!("the secret `{}` does not hold {form}", self.secret)))
            })?;
            let credential =
                AwsCredential { key_id: access_key_id, secret_key: secret_access_key, token: session_token };
            Ok(Arc::new(credential))
        })
    }
}

/// Whether the error or one of its sources says this word.
fn says(error: &object_store::Error, word: &str) -> bool {
    error.to_string().contains(word)
}

fn explain(error: object_store::Error, bucket: &str) -> EngineError {
    let mut source: Option<&(dyn StdError + 'static)> = Some(&error);
    let mut text = error.to_string();
    while let Some(error) = source {
        if let Some(ours) = error.downcast_ref::<EngineError>() {
            return match ours {
                EngineError::Misconfigured(reason) => EngineError::Misconfigured(reason.clone()),
                ours => EngineError::Unavailable(ours.to_string()),
            };
        }
        if error.is::<HttpError>() {
            // The connector's reason (refused, timed out, a certificate) is further down.
            let mut deeper = error.source();
            while let Some(reason) = deeper {
                text = format!("{text}: {reason}");
                deeper = reason.source();
            }
            return EngineError::Unavailable(text);
        }
        source = error.source();
    }
    use object_store::Error as E;
    let has = |status: &str| text.contains(&format!("status code: {status}"));
    match &error {
        E::NotFound { .. } => EngineError::Misconfigured(format!("there is no bucket `{bucket}`: {text}")),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => EngineError::Refused(text),
        // Listings' errors come as text alone.
        _ if has("403") || has("401") => EngineError::Refused(text),
        _ if has("404") => EngineError::Misconfigured(format!("there is no bucket `{bucket}`: {text}")),
        _ if has("5") || has("429") || text.contains("SlowDown") => EngineError::Unavailable(text),
        _ => EngineError::Other(Box::new(error)),
    }
}
