//! Blobs on their way here. A connection that breaks in the middle is no end: the rest is asked for, of the same blob.

use super::{NO_TYPE, Place, text};
use crate::engine::{ByteStream, EngineError, EngineResult, Meta, Reading};
use crate::engines::aws::{Call, Failure, piece};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use std::ops::Range;

/// How often the rest of a blob is asked for.
const RESUMPTIONS: u32 = 3;

/// What is asked for.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) range: Option<Range<u64>>,
    /// Of this blob alone, not of one that was written since.
    pub(super) etag: Option<String>,
}

impl Asked {
    pub(super) async fn send(self, place: &Place) -> EngineResult<Result<Reading, Failure>> {
        let answer = match self.ask(place).await? {
            Ok(answer) => answer,
            Err(failure) => return Ok(Err(failure)),
        };
        let part = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let part =
                    part(answer.headers()).filter(|part| self.range.as_ref().is_some_and(|all| begins(all, part)));
                Some(part.ok_or_else(|| strange(place))?)
            }
            _ if self.range.is_some() => return Err(strange(place)),
            _ => None,
        };
        let meta = meta(answer.headers(), part.as_ref().map(|(_, size)| *size))?;
        let range = part.map_or(0..meta.size, |(range, _)| range);
        let etag = Some(meta.etag.clone()).filter(|etag| !etag.is_empty());
        let rest = Rest {
            place: place.clone(),
            asked: Asked { path: self.path, range: Some(range.clone()), etag },
            size: meta.size,
            body: answer.into_body(),
            resumptions: RESUMPTIONS,
        };
        Ok(Ok(Reading { meta, range, body: rest.stream() }))
    }

    async fn ask(&self, place: &Place) -> EngineResult<Result<Response<Incoming>, Failure>> {
        let mut call = Call::new(Method::GET, &*self.path);
        if let Some(range) = &self.range {
            // Of numbers beyond those of files a server makes what it likes.
            let last = i64::try_from(range.end).map_or(String::new(), |end| (end - 1).to_string());
            call = call.header(RANGE, &format!("bytes={}-{last}", range.start))?;
        }
        if let Some(etag) = &self.etag {
            call = call.header(IF_MATCH, etag)?;
        }
        place.service.send(&call).await
    }
}

/// What has not come yet.
struct Rest {
    place: Place,
    asked: Asked,
    /// The whole blob's.
    size: u64,
    body: Incoming,
    resumptions: u32,
}

impl Rest {
    fn stream(self) -> ByteStream<'static> {
        stream::try_unfold(self, |mut rest| async move { Ok(rest.next().await?.map(|piece| (piece, rest))) }).boxed()
    }

    async fn next(&mut self) -> EngineResult<Option<Bytes>> {
        loop {
            let left = self.asked.range.as_ref().map_or(0, |range| range.end - range.start);
            let error = match piece(&mut self.body).await {
                Ok(Some(piece)) => {
                    if let Some(range) = &mut self.asked.range {
                        range.start = range.end.min(range.start + piece.len() as u64);
                    }
                    return Ok(Some(piece));
                }
                Ok(None) if left == 0 => return Ok(None),
                Ok(None) => strange(&self.place),
                Err(error) => error,
            };
            if left == 0 || self.resumptions == 0 || self.asked.etag.is_none() {
                return Err(error);
            }
            self.resumptions -= 1;
            match self.asked.ask(&self.place).await? {
                Ok(answer) if self.is_rest(&answer) => self.body = answer.into_body(),
                // The blob that was being read is gone.
                _ => return Err(error),
            }
        }
    }

    /// Whether an answer is the rest of what was begun: not every server, nor what stands before it, knows of conditions.
    fn is_rest(&self, answer: &Response<Incoming>) -> bool {
        let rest = self.asked.range.clone().map(|range| (range, self.size));
        answer.status() == StatusCode::PARTIAL_CONTENT
            && part(answer.headers()) == rest
            && self.asked.etag.as_deref() == Some(&*text(answer.headers(), &ETAG))
    }
}

/// What an answer's headers say of a blob.
pub(super) fn meta(headers: &HeaderMap, size: Option<u64>) -> EngineResult<Meta> {
    let missing = || EngineError::Unavailable("the server does not say how large a blob is".into());
    let size = size.or_else(|| text(headers, &CONTENT_LENGTH).parse().ok()).ok_or_else(missing)?;
    let modified = jiff::fmt::rfc2822::parse(&text(headers, &LAST_MODIFIED)).map(|modified| modified.timestamp());
    let content_type = text(headers, &CONTENT_TYPE);
    Ok(Meta {
        size,
        etag: text(headers, &ETAG),
        content_type: Some(content_type).filter(|content_type| !content_type.is_empty() && content_type != NO_TYPE),
        modified: modified.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

/// `bytes 3-8/700`: the range, and of how many.
fn part(headers: &HeaderMap) -> Option<(Range<u64>, u64)> {
    let range = text(headers, &CONTENT_RANGE);
    let (range, size) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then_some((first..last + 1, size))
}

/// Whether a part is what the blob has of a range.
fn begins(asked: &Range<u64>, (part, size): &(Range<u64>, u64)) -> bool {
    part.start == asked.start && part.end == asked.end.min(*size)
}

fn strange(place: &Place) -> EngineError {
    EngineError::Unavailable(format!("{} does not send what was asked for of `{}`", place.endpoint, place.bucket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn ranges_that_can_be_none_are_refused() {
        let read = |text: &'static str| part(&HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(text))]));
        assert_eq!(read("bytes 3-8/700"), Some((3..9, 700)));
        for wrong in ["", "bytes */700", "bytes 8-3/700", "bytes 3-700/700", "bytes 3-8/*", "lines 3-8/9"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_of_http_is_read() {
        let headers = [
            (LAST_MODIFIED, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT")),
            (CONTENT_LENGTH, HeaderValue::from_static("3")),
        ];
        let meta = meta(&HeaderMap::from_iter(headers), None).expect("what is known");
        assert_eq!(meta.modified.to_string(), "2015-10-21T07:28:00Z");
    }
}
