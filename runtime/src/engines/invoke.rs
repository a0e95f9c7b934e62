//! Functions of AWS Lambda, as those who call them see them.

use crate::engine::{EngineError, EngineResult};
use crate::engines::aws::{Account, Call, Repeat, Service, body};
use bytes::Bytes;
use http::{HeaderName, Method};
use serde::Deserialize;
use std::time::Duration;

/// What Lambda answers at most.
const ANSWER_LIMIT_BYTES: usize = 6 << 20;
const TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
/// There if the function has no answer.
const ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");

/// Functions.
pub struct Functions(Service);

/// What stands in the place of an answer.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failed {
    error_type: String,
    error_message: String,
}

impl Functions {
    /// Those of this account; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        Ok(Functions(account.service("lambda")?))
    }

    /// Invokes a function, by its ARN, and waits so long for its answer. Once: what was begun may have had effects.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn invoke(&self, function: &str, event: Bytes, within: Duration) -> EngineResult<Bytes> {
        let mut call = Call::new(Method::POST, format!("/2015-03-31/functions/{function}/invocations"));
        call = call.header(TYPE, "RequestResponse")?;
        call.body = event;
        call.repeat = Repeat::IfUndone;
        call.patience = Some(within);
        let answer = self.0.send(&call).await?.map_err(|failure| failure.explained(function))?;
        let failed = answer.headers().contains_key(ERROR);
        let answer = body(answer, ANSWER_LIMIT_BYTES).await?;
        if failed {
            let Failed { error_type, error_message } = serde_json::from_slice(&answer).unwrap_or_default();
            return Err(EngineError::Unavailable(format!("{function} has no answer: {error_type}: {error_message}")));
        }
        Ok(answer)
    }
}
