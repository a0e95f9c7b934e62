//! Signatures, of version 4.

use crate::engine::{EngineError, EngineResult};
use aws_credential_types::Credentials as Key;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningInstructions,
    SigningSettings, UriPathNormalizationMode, sign as signed,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::Request;
use std::time::{Duration, SystemTime};

/// Signs a request as it is, its body included.
pub(super) fn sign(request: &mut Request<Bytes>, service: &str, region: &str, key: Key) -> EngineResult<()> {
    let body = request.body().clone();
    let instructions = instructions(request, SignableBody::Bytes(&body), settings(service), service, region, key)?;
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// A request's URL, signed for a time. The headers that it has are those that must be sent.
pub(super) fn presign(
    mut request: Request<()>,
    service: &str,
    region: &str,
    key: Key,
    lifetime: Duration,
) -> EngineResult<String> {
    let mut settings = settings(service);
    settings.signature_location = SignatureLocation::QueryParams;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.expires_in = Some(lifetime);
    let instructions = instructions(&request, SignableBody::UnsignedPayload, settings, service, region, key)?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    // S3's paths are keys: what they hold is signed as it is sent.
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

fn instructions<B>(
    request: &Request<B>,
    body: SignableBody<'_>,
    settings: SigningSettings,
    service: &str,
    region: &str,
    key: Key,
) -> EngineResult<SigningInstructions> {
    let identity = key.into();
    let params = SigningParams::builder().identity(&identity).region(region).name(service);
    let params = params.time(SystemTime::now()).settings(settings).build();
    let params = params.map_err(|error| EngineError::Other(error.into()))?.into();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let url = request.uri().to_string();
    let signable = SignableRequest::new(request.method().as_str(), url, headers, body);
    let output = signable.and_then(|signable| signed(signable, &params));
    Ok(output.map_err(|error| EngineError::Other(error.into()))?.into_parts().0)
}
