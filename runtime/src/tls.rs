//! TLS for outgoing connections: one provider (ring), and the CA certificates that the program carries, because an empty
//! image has none.

/// rustls' settings for clients.
pub(crate) fn client_config() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The HTTP client of `External`s.
#[cfg(feature = "client")]
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(client_config())
        .connect_timeout(std::time::Duration::from_secs(5))
        .build()
        .expect("the settings are constant")
}
