//! Who is at the desk. The token was a text in the state; now it is a secret, and what checks it is a shared value, which old
//! routes and new ones take.

use updraft::axum::http::header;
use updraft::prelude::*;

/// What people at the desk know.
#[secret]
pub struct DeskToken;

/// Checks the token.
#[derive(Clone)]
pub struct Guard {
    token: Secret<DeskToken>,
}

#[shared]
async fn guard(token: Secret<DeskToken>) -> Result<Guard> {
    Ok(Guard { token })
}

impl Guard {
    /// Whether the request has the token.
    pub(crate) async fn admits(&self, headers: &HeaderMap) -> Result<()> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        // Read each time: a new token needs no restart.
        let token = self.token.expose().await?;
        match given {
            Some(given) if given == token.expose_secret() => Ok(()),
            _ => Err(Error::new("only at the desk").with_status(StatusCode::UNAUTHORIZED)),
        }
    }
}

/// Someone at the desk, in a handler: `#[extractor]` says what it takes.
pub struct Desk;

#[extractor]
async fn desk(guard: Shared<Guard>, headers: HeaderMap) -> Result<Desk> {
    guard.admits(&headers).await?;
    Ok(Desk)
}
