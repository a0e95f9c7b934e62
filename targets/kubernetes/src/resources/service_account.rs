//! `ServiceAccount`.

use super::meta::Meta;
use serde::Serialize;

/// A service account.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    api_version: &'static str,
    kind: &'static str,
    metadata: Meta,
    automount_service_account_token: bool,
}

impl ServiceAccount {
    /// One whose pods get no token: they never speak to the cluster's API.
    pub fn without_token(metadata: Meta) -> Self {
        ServiceAccount { api_version: "v1", kind: "ServiceAccount", metadata, automount_service_account_token: false }
    }
}
