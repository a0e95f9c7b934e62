//! What AWS's engines share: requests that are signed (Signature Version 4), sent with bounds on every wait, repeated where
//! that can do no harm, and whose errors are told as any engine's are. S3-compatible servers speak the same language.

mod account;
mod credentials;
mod failure;
mod http;
#[cfg(any(feature = "sns", feature = "sqs"))]
pub(crate) mod messages;
mod role;
#[cfg(any(feature = "parameter-store", feature = "secrets-manager"))]
pub(crate) mod secrets;
mod service;
mod sign;
#[cfg(test)]
pub(crate) mod tests;

pub use account::{Account, ENDPOINT_VARIABLE};
#[allow(unused_imports, reason = "each engine uses some of them")]
pub(crate) use {
    self::http::{Http, body, piece},
    failure::Failure,
    service::{Call, Repeat, Service, encoded, pause},
    updraft_wire::xml::Element,
};
