//! Signatures, of version 4.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign as signed,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::Request;
use std::time::SystemTime;

/// Signs a request as it is, its body included.
pub(super) fn sign(request: &mut Request<Bytes>, service: &str, region: &str, key: Credentials) -> Result<(), String> {
    let mut settings = SigningSettings::default();
    // S3's paths are keys: what they hold is signed as it is sent.
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let identity = key.into();
    let params = SigningParams::builder().identity(&identity).region(region).name(service);
    let params = params.time(SystemTime::now()).settings(settings).build();
    let params = params.map_err(|error| error.to_string())?.into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new(request.method().as_str(), request.uri().to_string(), headers, body);
    let output = signable.and_then(|signable| signed(signable, &params)).map_err(|error| error.to_string())?;
    output.into_parts().0.apply_to_request_http1x(request);
    Ok(())
}
