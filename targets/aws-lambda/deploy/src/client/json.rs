//! Services that take JSON and answer in it.

use super::{Ask, Client, Service};
use crate::error::{Error, Result};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

impl Client {
    /// Asks a service that speaks JSON; what it answers.
    pub(crate) async fn json(&self, service: Service, action: &'static str, content: &Value) -> Result<Value> {
        let unreadable = || Error::Unreadable { action: format!("{}:{action}", service.name()) };
        let (protocol, version) = match service {
            Service::Ecr => ("AmazonEC2ContainerRegistry_V20150921", "application/x-amz-json-1.1"),
            Service::SecretsManager => ("secretsmanager", "application/x-amz-json-1.1"),
            Service::Sqs => ("AmazonSQS", "application/x-amz-json-1.0"),
            Service::Ssm => ("AmazonSSM", "application/x-amz-json-1.1"),
            // They speak forms, or what is in a bucket.
            Service::CloudFormation | Service::S3 | Service::Sts => return Err(unreadable()),
        };
        let mut headers = HeaderMap::new();
        let target = HeaderValue::from_str(&format!("{protocol}.{action}")).map_err(|_| unreadable())?;
        headers.insert("x-amz-target", target);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(version));
        let url = format!("{}/", self.endpoint(service));
        let body = content.to_string().into();
        let answer = self.ask(Ask { service, action, method: Method::POST, url, headers, body }).await?;
        // Some have nothing to say.
        let body = if answer.body.is_empty() { b"{}" } else { &answer.body[..] };
        serde_json::from_slice(body).map_err(|_| unreadable())
    }
}
