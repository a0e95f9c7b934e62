//! `External<Name>`: hosts outside the application, so that egress is an edge of the graph too.

use super::{Resource, capability};
use crate::ctx::Scope;
use std::marker::PhantomData;

/// Declared by `#[external(hosts = […])]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no external",
    label = "needs a type declared by `#[external(hosts = […])]`"
)]
pub trait ExternalResource: Resource {
    /// `hooks.example.com:443`; at least one.
    const HOSTS: &'static [&'static str];
}

/// The capability to reach hosts outside.
pub struct External<R>(Scope, PhantomData<fn() -> R>);
capability!([R: ExternalResource] External<R>, "external", "call");

impl<R: ExternalResource> External<R> {
    /// Where requests go, without a slash at the end: the declaration's first host, unless the binding or a test says
    /// otherwise.
    pub fn base_url(&self) -> String {
        match self.0.ctx().engines().externals.get(R::ID) {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => base_url(R::HOSTS.first().copied().unwrap_or_default()),
        }
    }

    /// `path` at [`External::base_url`].
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base_url(), path.trim_start_matches('/'))
    }

    /// An HTTP client that keeps its connections and carries the trace, with the CA certificates that the program carries (or those that
    /// `SSL_CERT_FILE` names).
    ///
    /// # Errors
    /// If those certificates can't be read, or a test makes it fail.
    #[cfg(feature = "client")]
    pub fn client(&self) -> Result<super::Client, super::ResourceError> {
        let client = super::check::<Self>(&self.0, "call", "client").and_then(|()| client(self.0.ctx()));
        let client = client.map_err(super::ResourceError::engine::<Self>("client"))?;
        Ok(super::Client::new(client, &self.0, R::ID))
    }
}

fn base_url(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, "443")) => format!("https://{name}"),
        Some((name, "80")) => format!("http://{name}"),
        Some(_) | None => format!("https://{host}"),
    }
}

/// One for the whole application.
#[cfg(feature = "client")]
fn client(ctx: &crate::ctx::Ctx) -> crate::engine::EngineResult<reqwest::Client> {
    use crate::engine::EngineError;
    use std::sync::OnceLock;
    let made = ctx.cached("the http client of externals", || {
        // Parsing the certificates takes long, and they are the process's: tests make many applications in one.
        static SETTINGS: OnceLock<Result<rustls::ClientConfig, String>> = OnceLock::new();
        let settings = SETTINGS.get_or_init(|| crate::engines::tls::client_config().map_err(|error| error.to_string()));
        let settings = settings.clone()?;
        let client = reqwest::Client::builder().tls_backend_preconfigured(settings);
        client.connect_timeout(std::time::Duration::from_secs(5)).build().map_err(|error| error.to_string())
    });
    (*made).clone().map_err(EngineError::Misconfigured)
}

#[cfg(test)]
mod tests {
    use super::base_url;

    #[test]
    fn a_host_is_reached_by_tls_unless_its_port_says_otherwise() {
        assert_eq!(base_url("hooks.example.com:443"), "https://hooks.example.com");
        assert_eq!(base_url("hooks.example.com:80"), "http://hooks.example.com");
        assert_eq!(base_url("hooks.example.com:8443"), "https://hooks.example.com:8443");
    }
}
