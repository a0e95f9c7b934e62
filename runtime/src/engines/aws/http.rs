//! HTTP as AWS's engines need it: a pool of connections, plain or with TLS, and a bound on every wait.

use crate::engine::{EngineError, EngineResult};
use crate::engines::tls;
use crate::server::client::chain;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;
use tokio::time::timeout;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Until an answer begins and between two pieces of one: large bodies may take as long as the handler may.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A body that is sent has, beyond that, as long as it takes on a slow line.
const SLOWEST_BYTES_PER_SECOND: usize = 256 * 1024;
/// Shorter than servers keep a connection that nobody uses.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The client. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Http(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why there was no answer.
pub(crate) struct Trouble {
    pub(crate) reason: String,
    /// Whether the server can't have seen the request.
    pub(crate) unsent: bool,
}

impl Http {
    /// A client without connections.
    ///
    /// # Errors
    /// If the CA certificates can't be read.
    pub(crate) fn new() -> EngineResult<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls::client_config()?);
        let connector = https.https_or_http().enable_http1().wrap_connector(connector);
        let mut pool = Pool::builder(TokioExecutor::new());
        Ok(Http(pool.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT).build(connector)))
    }

    /// Sends once; the answer's body is still on its way.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        patience: Option<Duration>,
    ) -> Result<Response<Incoming>, Trouble> {
        let sending = Duration::from_secs((request.body().len() / SLOWEST_BYTES_PER_SECOND) as u64);
        let patience = patience.unwrap_or(READ_TIMEOUT) + sending;
        match timeout(patience, self.0.request(request.map(Full::new))).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Trouble { unsent: error.is_connect(), reason: chain(&error) }),
            Err(_) => Err(Trouble { unsent: false, reason: format!("no answer within {}s", patience.as_secs()) }),
        }
    }
}

/// The next piece of an answer's body; `None` at its end.
pub(crate) async fn piece(body: &mut Incoming) -> EngineResult<Option<Bytes>> {
    loop {
        let frame = timeout(READ_TIMEOUT, body.frame()).await;
        let frame = frame.map_err(|_| EngineError::Unavailable("the rest of the answer does not come".into()))?;
        let Some(frame) = frame else { return Ok(None) };
        let frame =
            frame.map_err(|error| EngineError::Unavailable(format!("the answer broke off: {}", chain(&error))))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// An answer's whole body.
pub(crate) async fn body(answer: Response<Incoming>, limit: usize) -> EngineResult<Bytes> {
    let mut incoming = answer.into_body();
    let mut whole = BytesMut::new();
    while let Some(more) = piece(&mut incoming).await? {
        if whole.len() + more.len() > limit {
            return Err(EngineError::TooLarge { bytes: whole.len() + more.len(), limit });
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}
