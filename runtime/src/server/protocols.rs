//! What connections speak. HTTP/2, with prior knowledge, is for a laptop and for a program that is built for a cluster: what a
//! function of Lambda's would hold of it, for a server that it never has, is a twentieth of the program.

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use std::convert::Infallible;
use updraft_wire::limits::HttpLimits;

#[cfg(any(not(updraft_slim), feature = "http2"))]
pub(super) use both::{Server, connection, server};
#[cfg(not(any(not(updraft_slim), feature = "http2")))]
pub(super) use one::{Server, connection, server};

/// What hyper keeps of a connection's input. It answers a head that does not end within it with 431.
fn buffer(limits: &HttpLimits) -> usize {
    limits.headers.max(updraft_wire::limits::LEAST_HEADERS) as usize
}

/// What answers the requests of a connection.
pub(super) trait Answers:
    hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + 'static
{
}

impl<S> Answers for S where
    S: hyper::service::Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + 'static
{
}

#[cfg(any(not(updraft_slim), feature = "http2"))]
mod both {
    use super::{Answers, HttpLimits, Read, Write, buffer};
    use hyper_util::rt::{TokioExecutor, TokioTimer};
    use hyper_util::server::conn::auto;
    use std::time::Duration;

    /// How often HTTP/2 connections are asked whether they live.
    const KEEP_ALIVE: Duration = Duration::from_secs(20);
    /// Requests that one HTTP/2 connection may have open: hyper's own default.
    const STREAMS: u32 = 200;
    /// Requests that an HTTP/2 client may take back before its connection is closed, so that one that does nothing else
    /// ("rapid reset") gets no further: h2's own default.
    const RESETS: usize = 20;
    /// What HTTP/2 keeps of an answer that its client does not take, in bytes.
    const UNTAKEN: usize = 64 << 10;

    pub(in crate::server) type Server = auto::Builder<TokioExecutor>;

    pub(in crate::server) fn server(limits: &HttpLimits) -> Server {
        let mut server = auto::Builder::new(TokioExecutor::new());
        // Patience has its own watch; hyper's would need a timer.
        server.http1().header_read_timeout(None).max_buf_size(buffer(limits));
        server
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(RESETS)
            .max_header_list_size(limits.headers)
            .max_send_buf_size(UNTAKEN);
        server
    }

    pub(in crate::server) fn connection<I: Read + Write + Unpin + Send + 'static, S: Answers>(
        server: &Server,
        io: I,
        service: S,
    ) -> auto::UpgradeableConnection<'static, I, S, TokioExecutor> {
        server.serve_connection_with_upgrades(io, service).into_owned()
    }
}

#[cfg(not(any(not(updraft_slim), feature = "http2")))]
mod one {
    use super::{Answers, HttpLimits, Read, Write, buffer};
    use hyper::server::conn::http1;

    pub(in crate::server) type Server = http1::Builder;

    pub(in crate::server) fn server(limits: &HttpLimits) -> Server {
        let mut server = http1::Builder::new();
        server.header_read_timeout(None).max_buf_size(buffer(limits));
        server
    }

    pub(in crate::server) fn connection<I: Read + Write + Unpin + Send + 'static, S: Answers>(
        server: &Server,
        io: I,
        service: S,
    ) -> http1::UpgradeableConnection<I, S> {
        server.serve_connection(io, service).with_upgrades()
    }
}
