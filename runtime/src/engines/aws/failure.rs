//! Answers that are no success: which error of the service's it is, and what that is to an engine's caller.

use super::http::body;
use crate::engine::EngineError;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use updraft_wire::xml;

/// How much of an error's text is read.
const LIMIT_BYTES: usize = 64 << 10;

/// What a service says is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// `NoSuchKey`. Empty if the answer has none: to `HEAD` there is no body.
    pub(crate) code: String,
    /// For people.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) async fn of(answer: Response<Incoming>) -> Self {
        let status = answer.status();
        // Who can't finish saying what is wrong has at least said that something is.
        let body = body(answer, LIMIT_BYTES).await.unwrap_or_default();
        Self::read(status, &body)
    }

    /// What an answer of this status and body says.
    pub(crate) fn read(status: StatusCode, body: &[u8]) -> Self {
        let (code, message) = json(body).or_else(|| xml::error(body)).unwrap_or_default();
        Failure { status, code, message }
    }

    /// Whether the service did nothing, and may be asked again after a pause. A 503 without such a code is no promise of that.
    pub(super) fn is_throttled(&self) -> bool {
        let codes = [
            "BandwidthLimitExceeded",
            "ConditionalRequestConflict",
            "KmsThrottled",
            "LimitExceededException",
            "OperationAborted",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "Throttled",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
            "TransactionInProgressException",
        ];
        self.status == StatusCode::TOO_MANY_REQUESTS || codes.contains(&&*self.code)
    }

    /// Whether it is the service's own fault, so that it may or may not have done what it was asked to.
    pub(super) fn is_internal(&self) -> bool {
        self.status.is_server_error() || matches!(&*self.code, "InternalError" | "InternalFailure" | "RequestTimeout")
    }

    fn is_refusal(&self) -> bool {
        let codes = [
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationError",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidIdentityToken",
            "InvalidSignatureException",
            "InvalidToken",
            "MissingAuthenticationToken",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ];
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || codes.contains(&&*self.code)
    }

    fn is_absence(&self) -> bool {
        let codes = [
            "AWS.SimpleQueueService.NonExistentQueue",
            "NoSuchBucket",
            "NotFound",
            "NotFoundException",
            "QueueDoesNotExist",
            "ResourceNotFoundException",
        ];
        self.status == StatusCode::NOT_FOUND || codes.contains(&&*self.code)
    }

    /// As an engine's error; `what` was asked for or of whom.
    pub(crate) fn explained(&self, what: &str) -> EngineError {
        let mut text = format!("{what}: {}", self.status);
        for more in [&self.code, &self.message] {
            if !more.is_empty() {
                text = format!("{text}: {more}");
            }
        }
        match () {
            () if self.is_throttled() || self.is_internal() => EngineError::Unavailable(text),
            () if self.is_refusal() => EngineError::Refused(text),
            () if self.is_absence() => EngineError::Misconfigured(text),
            () => EngineError::Other(text.into()),
        }
    }
}

/// `{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": …}`
fn json(body: &[u8]) -> Option<(String, String)> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text =
        |names: [&str; 2]| names.iter().find_map(|name| value.get(name)?.as_str()).unwrap_or_default().to_owned();
    let code = text(["__type", "code"]);
    let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
    Some((code, text(["message", "Message"])))
}
