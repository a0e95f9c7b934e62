//! Streams on their way there, in parts.

use super::{NO_TYPE, Place, text};
use crate::engine::{ByteStream, EngineError, EngineResult};
use crate::engines::aws::{Call, Element, Failure, Repeat};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::{CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};
use std::collections::BTreeMap;
use updraft_wire::xml::escaped;

/// A stream is sent in parts of so many bytes; S3's own limits for a part are 5 MiB and 5 GiB.
pub(super) const PART_BYTES: usize = 8 << 20;
/// S3's limit for the parts of a blob.
const MOST_PARTS: usize = 10_000;
/// Parts of one blob that are under way at a time. With the one that is being filled, they are what a stream holds in memory.
const PARTS_AT_ONCE: usize = 2;

impl Place {
    /// Sends a stream in parts, of which `first` is the first.
    pub(super) async fn put_parts(
        &self,
        path: String,
        first: Bytes,
        mut body: ByteStream<'_>,
        content_type: Option<&str>,
    ) -> EngineResult<()> {
        let begin = Call::new(Method::POST, &*path).query("uploads", "");
        let begin = begin.header(CONTENT_TYPE, content_type.unwrap_or(NO_TYPE))?;
        let begun = self.service.ask(&begin).await?.map_err(|failure| self.explain(&failure))?;
        let strange = || EngineError::Unavailable(format!("{} does not begin an upload", self.endpoint));
        let begun = Element::read(&begun).ok_or_else(strange)?;
        let id = begun.text_of("UploadId").ok_or_else(strange)?.to_owned();
        let upload = Upload { place: self.clone(), path, id };
        let unfinished = Unfinished(Some(upload.clone()));

        let (mut under_way, mut etags) = (FuturesUnordered::new(), BTreeMap::new());
        let (mut part, mut parts) = (Some(first), 0);
        while let Some(bytes) = part {
            parts += 1;
            if parts > MOST_PARTS {
                let limit = MOST_PARTS * PART_BYTES;
                return Err(EngineError::TooLarge { bytes: limit + bytes.len(), limit });
            }
            while under_way.len() >= PARTS_AT_ONCE {
                etags.extend(under_way.try_next().await?);
            }
            under_way.push(upload.put(parts, bytes));
            part = next_part(&mut body).await?;
        }
        while let Some(part) = under_way.try_next().await? {
            etags.extend([part]);
        }
        drop(under_way);
        upload.complete(&etags).await?;
        unfinished.finish();
        Ok(())
    }
}

/// A whole part, or what is left; `None` if nothing is.
pub(super) async fn next_part(body: &mut ByteStream<'_>) -> EngineResult<Option<Bytes>> {
    let mut part = BytesMut::new();
    while part.len() < PART_BYTES {
        let Some(piece) = body.try_next().await? else { break };
        part.extend_from_slice(&piece);
    }
    Ok((!part.is_empty()).then(|| part.freeze()))
}

#[derive(Clone)]
struct Upload {
    place: Place,
    path: String,
    id: String,
}

impl Upload {
    fn call(&self, method: Method) -> Call {
        Call::new(method, &*self.path).query("uploadId", &self.id)
    }

    /// Its number and its etag.
    async fn put(&self, number: usize, bytes: Bytes) -> EngineResult<(usize, String)> {
        let mut call = self.call(Method::PUT).query("partNumber", &number.to_string());
        call.body = bytes;
        let answer = self.place.service.send(&call).await?.map_err(|failure| self.place.explain(&failure))?;
        Ok((number, text(answer.headers(), &ETAG)))
    }

    async fn complete(&self, etags: &BTreeMap<usize, String>) -> EngineResult<()> {
        let mut list = String::from("<CompleteMultipartUpload>");
        for (number, etag) in etags {
            let etag = escaped(etag);
            list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
        }
        list.push_str("</CompleteMultipartUpload>");
        let mut call = self.call(Method::POST);
        call.body = list.into();
        // Sent again, it might find that somebody else has written since.
        call.repeat = Repeat::IfUndone;
        let answer = self.place.service.ask(&call).await?.map_err(|failure| self.place.explain(&failure))?;
        // The server says that all is well before it knows.
        match Element::read(&answer).as_ref().map(|root| &*root.name) {
            Some("CompleteMultipartUploadResult") => Ok(()),
            Some("Error") => Err(self.place.explain(&Failure::read(StatusCode::INTERNAL_SERVER_ERROR, &answer))),
            _ => {
                let endpoint = &self.place.endpoint;
                Err(EngineError::Unavailable(format!("{endpoint} does not say that the parts are a blob now")))
            }
        }
    }

    async fn abort(&self) -> EngineResult<()> {
        let aborted = self.place.service.send(&self.call(Method::DELETE)).await?;
        aborted.map(|_| ()).map_err(|failure| self.place.explain(&failure))
    }
}

/// A blob in parts that is not there yet: what was sent of it is given up when this is dropped. (If the process ends
/// meanwhile, a lifecycle rule of the bucket has to.)
struct Unfinished(Option<Upload>);

impl Unfinished {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "the parts of a blob that was given up are still there");
                }
            });
        }
    }
}
