//! Roles that the process was given by where it runs: a service account's (a token in a file, exchanged at STS), a
//! container's (an address that lends keys), or else the machine's.

use super::account::{address, variable};
use super::credentials::key;
use super::failure::Failure;
use super::http::{Http, body};
use super::service::encoded;
use crate::engine::{EngineError, EngineResult};
use aws_credential_types::Credentials as Key;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use jiff::Timestamp;
use serde::Deserialize;
use updraft_wire::xml::Element;

/// Where a container of ECS is lent keys.
const CONTAINERS: &str = "http://169.254.170.2";
/// Where a machine of EC2 learns about itself.
const MACHINE: &str = "http://169.254.169.254";
/// The longest answer that one of them gives.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024;

/// A role, and whom to ask for its keys.
pub(crate) struct Role {
    pub(super) http: Http,
    pub(super) from: From,
}

/// Whom to ask.
pub(super) enum From {
    /// STS, shown the token of this file.
    WebIdentity { token_file: String, role: String, session: String, endpoint: String },
    /// This address.
    Container { url: String },
    /// The machine's own service.
    Machine { endpoint: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Lent {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: String,
}

impl Role {
    pub(super) fn of_environment(http: Http, region: &str) -> Self {
        let web = variable("AWS_WEB_IDENTITY_TOKEN_FILE").zip(variable("AWS_ROLE_ARN"));
        let url = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            .or_else(|| variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINERS}{path}")));
        let from = match (web, url) {
            (Some((token_file, role)), _) => {
                let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "updraft".to_owned());
                let endpoint = address(None, variable, "sts", region);
                From::WebIdentity { token_file, role, session, endpoint }
            }
            (None, Some(url)) => From::Container { url },
            (None, None) => {
                let endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| MACHINE.to_owned());
                From::Machine { endpoint: endpoint.trim_end_matches('/').to_owned() }
            }
        };
        Role { http, from }
    }

    /// A key, for a time.
    pub(super) async fn lend(&self) -> EngineResult<Key> {
        match &self.from {
            From::WebIdentity { token_file, role, session, endpoint } => {
                let token = read(token_file)?;
                let form = format!(
                    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={}&RoleSessionName={}&WebIdentityToken={}",
                    encoded(role),
                    encoded(session),
                    encoded(&token)
                );
                let request = Request::post(format!("{}/", endpoint.trim_end_matches('/')))
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
                let answer = self.ask(request, form.into(), "STS").await?;
                let lent = Element::read(&answer).ok_or_else(|| strange("STS"))?;
                let text = |name| lent.find(name).map(|found| found.text.clone()).ok_or_else(|| strange("STS"));
                let until: Timestamp = text("Expiration")?.parse().map_err(|_| strange("STS"))?;
                let (id, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
                Ok(key(id, secret, Some(text("SessionToken")?), Some(until.into())))
            }
            From::Container { url } => {
                let authorization = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
                    Some(file) => Some(read(&file)?),
                    None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
                };
                let mut request = Request::get(url);
                if let Some(token) = authorization {
                    let wrong = |_| EngineError::Misconfigured("the container's authorization token is none".into());
                    request = request.header(AUTHORIZATION, HeaderValue::from_str(&token).map_err(wrong)?);
                }
                lent(&self.ask(request, Bytes::new(), "the container's credentials").await?)
            }
            From::Machine { endpoint } => {
                let what = "the machine's credentials";
                let text = |answer: Bytes| String::from_utf8_lossy(&answer).trim().to_owned();
                let request = Request::put(format!("{endpoint}/latest/api/token"))
                    .header("x-aws-ec2-metadata-token-ttl-seconds", "60");
                let token = text(self.ask(request, Bytes::new(), what).await?);
                let get = |path: String| {
                    let path = format!("{endpoint}/latest/meta-data/iam/security-credentials/{path}");
                    self.ask(Request::get(path).header("x-aws-ec2-metadata-token", &token), Bytes::new(), what)
                };
                let role = text(get(String::new()).await?);
                lent(&get(role).await?)
            }
        }
    }

    async fn ask(&self, request: http::request::Builder, content: Bytes, what: &str) -> EngineResult<Bytes> {
        let wrong = |error: http::Error| EngineError::Misconfigured(format!("{what} can't be asked for: {error}"));
        let request = request.body(content).map_err(wrong)?;
        let hint = "there is no key in the environment, and a role's can't be had";
        let answer = self.http.send(request, None).await;
        let answer =
            answer.map_err(|trouble| EngineError::Unavailable(format!("{hint}: {what}: {}", trouble.reason)))?;
        match answer.status().is_success() {
            true => body(answer, ANSWER_LIMIT_BYTES).await,
            false => Err(Failure::of(answer).await.explained(&format!("{hint}: {what}"))),
        }
    }
}

fn lent(json: &[u8]) -> EngineResult<Key> {
    // serde's message could quote the value.
    let lent: Lent = serde_json::from_slice(json).map_err(|_| strange("the role's lender"))?;
    let until: Timestamp = lent.expiration.parse().map_err(|_| strange("the role's lender"))?;
    Ok(key(lent.access_key_id, lent.secret_access_key, lent.token, Some(until.into())))
}

fn strange(what: &str) -> EngineError {
    EngineError::Unavailable(format!("{what} does not answer with a key"))
}

fn read(path: &str) -> EngineResult<String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| EngineError::Misconfigured(format!("`{path}` can't be read: {error}")))?;
    Ok(text.trim().to_owned())
}
