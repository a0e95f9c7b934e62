//! Who asks, where and by which connections: shared by all engines that AWS keeps for a program.

use super::credentials::Credentials;
use super::http::Http;
use super::service::Service;
use crate::engine::{EngineError, EngineResult, SecretEngine};
use std::sync::Arc;

/// Names the address of all services, instead of AWS's own: an emulator's. With `_SQS` behind it, of one.
pub const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";
const REGION_VARIABLE: &str = "AWS_REGION";

/// An account of AWS's, or of a server that speaks as AWS does. Clones share connections and credentials.
#[derive(Clone)]
pub struct Account {
    pub(super) http: Http,
    pub(super) credentials: Arc<Credentials>,
    pub(super) region: Arc<str>,
    /// Given, and not by the environment.
    endpoint: Option<Arc<str>>,
}

impl Account {
    /// The account that the environment tells of: `AWS_REGION` and a key, or a role that the process was given. Nothing is
    /// reached yet.
    ///
    /// # Errors
    /// If there is no region, or no TLS can be had.
    pub fn from_environment() -> EngineResult<Self> {
        let region = variable(REGION_VARIABLE).or_else(|| variable("AWS_DEFAULT_REGION"));
        let missing = || EngineError::Misconfigured(format!("{REGION_VARIABLE} is not set"));
        Self::in_region(&region.ok_or_else(missing)?)
    }

    /// The same in this region, whatever the environment says of it.
    ///
    /// # Errors
    /// If no TLS can be had.
    pub fn in_region(region: &str) -> EngineResult<Self> {
        let http = Http::new()?;
        let credentials = Arc::new(Credentials::of_environment(http.clone(), region));
        Ok(Account { http, credentials, region: region.into(), endpoint: None })
    }

    /// One whose key is a secret that holds `{"access_key_id", "secret_access_key", "session_token"?}`, read at each use.
    ///
    /// # Errors
    /// If no TLS can be had.
    pub fn of_secret(region: &str, secrets: Arc<dyn SecretEngine>, secret: &str) -> EngineResult<Self> {
        let credentials = Credentials::Secret { secrets, id: secret.to_owned() };
        Ok(Account { http: Http::new()?, credentials: Arc::new(credentials), region: region.into(), endpoint: None })
    }

    /// All of whose services are at this address.
    #[must_use]
    pub fn at(mut self, endpoint: &str) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// One of its services, by the name that signatures and addresses have: `sqs`.
    pub(crate) fn service(&self, name: &'static str) -> EngineResult<Service> {
        let address = address(self.endpoint.as_deref(), variable, name, &self.region);
        Service::new(self.clone(), name, &address)
    }
}

/// Where a service is: where it was said to be, else as the environment says of it, or of all, or else AWS's own address.
pub(super) fn address(
    given: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
    service: &str,
    region: &str,
) -> String {
    let of_all = || variable(ENDPOINT_VARIABLE);
    // The variables are called by the services' ids, which are not always what signatures have.
    let id = if service == "secretsmanager" { "SECRETS_MANAGER".to_owned() } else { service.to_uppercase() };
    let set = || variable(&format!("{ENDPOINT_VARIABLE}_{id}")).or_else(of_all);
    given.map(str::to_owned).or_else(set).unwrap_or_else(|| of_aws(service, region))
}

/// AWS's own address of a service.
fn of_aws(service: &str, region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{service}.{region}.{suffix}")
}

/// A variable of the environment that says something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
