//! Requests to AWS's services: credentials and region as the AWS CLI finds them, signatures of version 4, patience.

mod answer;
mod json;
#[cfg(test)]
pub(crate) mod played;
mod sign;

pub(crate) use answer::Answer;
pub(crate) use updraft_wire::xml::Element;

use crate::error::{Error, Result};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request};
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// How often a request is sent before its failure is believed. Each of ours may be repeated.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until an answer begins. An upload is as long as it takes on a slow line, and then some.
const READ_TIMEOUT: Duration = Duration::from_secs(600);
/// Credentials are asked for anew so long before they end.
const AHEAD: Duration = Duration::from_secs(60);

/// A service of AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    CloudFormation,
    /// Its registry, too.
    Ecr,
    S3,
    SecretsManager,
    Sqs,
    Ssm,
    Sts,
}

impl Service {
    /// In signatures, policies and addresses.
    fn name(self) -> &'static str {
        match self {
            Service::CloudFormation => "cloudformation",
            Service::Ecr => "ecr",
            Service::S3 => "s3",
            Service::SecretsManager => "secretsmanager",
            Service::Sqs => "sqs",
            Service::Ssm => "ssm",
            Service::Sts => "sts",
        }
    }

    /// In profiles and variables that name its endpoint.
    fn id(self) -> &'static str {
        match self {
            Service::CloudFormation => "CloudFormation",
            Service::Ecr => "ECR",
            Service::S3 => "S3",
            Service::SecretsManager => "Secrets Manager",
            Service::Sqs => "SQS",
            Service::Ssm => "SSM",
            Service::Sts => "STS",
        }
    }
}

/// A request that may be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) service: Service,
    /// `CreateChangeSet`: as a policy calls it.
    pub(crate) action: &'static str,
    pub(crate) method: Method,
    /// Absolute.
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Asks AWS. Nothing is reached before the first request.
#[derive(Debug)]
pub struct Client {
    config: SdkConfig,
    region: String,
    connector: Connector,
    credentials: SharedCredentialsProvider,
    held: Mutex<Option<Credentials>>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// `arn:aws:sts::123456789012:assumed-role/deployer/ci`.
    pub arn: String,
}

impl Client {
    /// As the environment and the AWS CLI's files say.
    ///
    /// # Errors
    /// Without a region, or a way to credentials.
    pub async fn from_environment() -> Result<Client> {
        let tls = || Provider::Rustls(CryptoMode::Ring);
        let loader = aws_config::defaults(BehaviorVersion::latest());
        Client::of(loader.http_client(Builder::new().tls_provider(tls()).build_https()).load().await)
    }

    fn of(config: SdkConfig) -> Result<Client> {
        let tls = || Provider::Rustls(CryptoMode::Ring);
        let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
        let region = region.ok_or(Error::NoRegion)?;
        let credentials = config.credentials_provider();
        let credentials = credentials.ok_or_else(|| Error::Credentials("none are configured".to_owned()))?;
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
        let connector = Connector::builder().connector_settings(settings.build()).proxy_config(ProxyConfig::from_env());
        let connector = connector.tls_provider(tls()).build();
        Ok(Client { config, region, connector, credentials, held: Mutex::new(None) })
    }

    /// `eu-central-1`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether it is not AWS that answers for CloudFormation.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.configured(Service::CloudFormation).is_some()
    }

    /// Where a service is, if that is not for AWS's own addresses to say.
    pub(crate) fn configured(&self, service: Service) -> Option<String> {
        let key = ServiceConfigKey::builder().service_id(service.id()).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let own = key.build().ok().and_then(|key| self.config.service_config()?.load_config(key));
        let url = own.or_else(|| self.config.endpoint_url().map(str::to_owned))?;
        Some(url.trim_end_matches('/').to_owned())
    }

    /// A service's address, without a slash at its end.
    pub(crate) fn endpoint(&self, service: Service) -> String {
        self.configured(service).unwrap_or_else(|| format!("https://{}", self.host(service)))
    }

    /// A bucket's address: a host of its own at AWS, a path at any other server.
    pub(crate) fn bucket(&self, bucket: &str) -> String {
        match self.configured(Service::S3) {
            Some(url) => format!("{url}/{bucket}"),
            None => format!("https://{bucket}.{}", self.host(Service::S3)),
        }
    }

    fn host(&self, service: Service) -> String {
        let fips = self.config.use_fips() == Some(true);
        // ECR's name without more is its registries'.
        let name = match (service, fips) {
            (Service::Ecr, false) => "api.ecr".to_owned(),
            (_, true) => format!("{}-fips", service.name()),
            (_, false) => service.name().to_owned(),
        };
        format!("{name}.{}.{}", self.region, suffix(&self.region))
    }

    /// What the addresses of an account's images begin with.
    pub(crate) fn registry(&self, account: &str) -> String {
        format!("{account}.dkr.ecr.{}.{}", self.region, suffix(&self.region))
    }

    async fn key(&self) -> Result<Credentials> {
        // Held while one asks, so that the others wait for the same answer.
        let mut held = self.held.lock().await;
        let lasts = |until: SystemTime| until > SystemTime::now() + AHEAD;
        if let Some(key) = held.as_ref().filter(|key| key.expiry().is_none_or(lasts)) {
            return Ok(key.clone());
        }
        let key = self.credentials.provide_credentials().await.map_err(|error| no_credentials(&error))?;
        Ok(held.insert(key).clone())
    }

    /// Who asks.
    ///
    /// # Errors
    /// If AWS can't be reached, or does not know the credentials.
    pub async fn account(&self) -> Result<Account> {
        let answer = self.query(Service::Sts, "GetCallerIdentity", "2011-06-15", &[]).await?;
        let text = |name: &str| answer.find(name).map(|found| found.text.clone());
        match (text("Account"), text("Arn")) {
            (Some(id), Some(arn)) => Ok(Account { id, arn }),
            _ => Err(Error::Unreadable { action: "sts:GetCallerIdentity".to_owned() }),
        }
    }

    /// Asks a service that takes forms and answers in XML; the part of the answer that is the result.
    pub(crate) async fn query(
        &self,
        service: Service,
        action: &'static str,
        version: &str,
        fields: &[(String, String)],
    ) -> Result<Element> {
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in fields {
            form.push('&');
            form.extend(escaped(name));
            form.push('=');
            form.extend(escaped(value));
        }
        let mut headers = HeaderMap::new();
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        let url = format!("{}/", self.endpoint(service));
        let ask = Ask { service, action, method: Method::POST, url, headers, body: form.into() };
        let answer = self.ask(ask).await?;
        let root = Element::read(&answer.body).filter(|root| root.name == format!("{action}Response"));
        root.ok_or_else(|| Error::Unreadable { action: format!("{}:{action}", service.name()) })
    }

    /// Sends a request until there is an answer that says yes, or one that stays no.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer> {
        let mut attempt = 1;
        loop {
            let outcome = self.send(&ask).await;
            let again = match &outcome {
                Ok(answer) if answer.is_success() => return outcome,
                Ok(answer) => answer.may_change(),
                Err(Error::Unreachable { .. }) => true,
                Err(_) => false,
            };
            if !again || attempt == ATTEMPTS {
                return outcome.and_then(|answer| Err(Error::Refused(answer.refusal(&ask))));
            }
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }

    async fn send(&self, ask: &Ask) -> Result<Answer> {
        let unreachable = |reason: String| Error::Unreachable { endpoint: origin(&ask.url).to_owned(), reason };
        let mut request = Request::new(ask.body.clone());
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.url.parse().map_err(|error| unreachable(format!("{}: {error}", ask.url)))?;
        *request.headers_mut() = ask.headers.clone();
        // A registry's password stands for what would be signed.
        if !ask.headers.contains_key(AUTHORIZATION) {
            let key = self.key().await?;
            sign::sign(&mut request, ask.service.name(), &self.region, key).map_err(unreachable)?;
        }
        let request = request.map(SdkBody::from).try_into().map_err(|error| unreachable(chain(&error)))?;
        let answer = self.connector.call(request).await.map_err(|error| unreachable(chain(&error)))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = ByteStream::new(answer.into_body()).collect().await.map_err(|error| unreachable(chain(&error)))?;
        let header = |name| headers.get(name).map(str::to_owned);
        let (region, location) = (header("x-amz-bucket-region"), header("location"));
        Ok(Answer { status, region, location, body: body.into_bytes() })
    }
}

/// A URL's scheme and host.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// Twice as long each time, and no two runs in step.
fn pause(attempt: u32) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let longest = FIRST_PAUSE * 2_u32.pow(attempt - 1);
    longest / 2 + longest.mul_f64(f64::from(now.subsec_micros() % 1_000) / 2_000.0)
}

/// What hosts of a region end with.
fn suffix(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ => "amazonaws.com",
    }
}

/// Whether an address is one of AWS's own: of a service, of an endpoint in somebody's network, of a registry.
pub(crate) fn is_of_aws(url: &str) -> bool {
    let host = origin(url).rsplit('/').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    OF_AWS.iter().any(|suffix| host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')))
}

/// What hosts of AWS's end with, in each of its partitions.
const OF_AWS: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "api.aws",
    "on.aws",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

fn no_credentials(error: &CredentialsError) -> Error {
    Error::Credentials(match error {
        CredentialsError::CredentialsNotLoaded(_) => "none are configured on this machine".to_owned(),
        error => chain(error),
    })
}

/// What an error says, and all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn escaped(text: &str) -> impl Iterator<Item = &str> {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow() {
        for attempt in 1..ATTEMPTS {
            let longest = FIRST_PAUSE * 2_u32.pow(attempt - 1);
            assert!((longest / 2..=longest).contains(&pause(attempt)));
        }
    }

    #[test]
    fn where_a_url_leads() {
        for url in ["https://a.example/v2/x", "https://a.example", "https://a.example/"] {
            assert_eq!(origin(url), "https://a.example");
        }
        assert_eq!(origin(""), "");
    }

    #[test]
    fn which_hosts_are_of_aws() {
        let own = [
            "https://1.dkr.ecr.eu-central-1.amazonaws.com",
            "https://vpce-0a-1b.api.ecr.eu-central-1.vpce.amazonaws.com:443",
            "https://1.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "https://ecr.eu-central-1.api.aws/",
        ];
        assert!(own.iter().all(|url| is_of_aws(url)));
        let others = [
            "http://127.0.0.1:4566",
            "https://1.dkr.ecr.eu-central-1.localhost.localstack.cloud:4566",
            "https://amazonaws.com.example",
            "https://notamazonaws.com",
            "https://ecr.example/amazonaws.com",
        ];
        assert!(!others.iter().any(|url| is_of_aws(url)));
    }

    #[test]
    fn hosts_of_other_partitions() {
        assert_eq!(suffix("eu-central-1"), "amazonaws.com");
        assert_eq!(suffix("us-gov-west-1"), "amazonaws.com");
        assert_eq!(suffix("cn-north-1"), "amazonaws.com.cn");
    }
}
