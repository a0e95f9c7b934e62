//! TLS for clients: one provider (ring), and CA certificates that are carried in the program, because an empty image has
//! none. `SSL_CERT_FILE` names other ones, for servers with a private CA.

use crate::engine::{EngineError, EngineResult};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Where a PEM file with CA certificates lies that replaces the built-in ones.
pub const CERTIFICATES_VARIABLE: &str = "SSL_CERT_FILE";

/// Makes ring the process's provider. Any number of times.
pub fn install_provider() {
    // An error says that one is installed already: the user's own then stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The PEM file of [`CERTIFICATES_VARIABLE`], if it is set.
///
/// # Errors
/// If it can't be read.
pub fn own_certificates() -> EngineResult<Option<Vec<u8>>> {
    let Some(path) = std::env::var_os(CERTIFICATES_VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
    std::fs::read(&path).map(Some).map_err(|error| {
        let path = path.display();
        EngineError::Misconfigured(format!("{CERTIFICATES_VARIABLE} names `{path}`, which can't be read: {error}"))
    })
}

/// A client's configuration: those certificates, else the built-in ones.
///
/// # Errors
/// If the file can't be read or holds no certificate.
pub fn client_config() -> EngineResult<rustls::ClientConfig> {
    install_provider();
    let mut roots = RootCertStore::empty();
    match own_certificates()? {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                let reason = format!("the file that {CERTIFICATES_VARIABLE} names holds no CA certificate");
                return Err(EngineError::Misconfigured(reason));
            }
        }
    }
    Ok(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
