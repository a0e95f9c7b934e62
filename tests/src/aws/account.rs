//! An account of AWS's: MiniStack, where every request is signed and every role may do what its policies say.

use crate::http::{Answer, Http};
use crate::servers::MiniStack;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// How long an operation on a stack may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// Where everything is.
pub(super) const REGION: &str = "eu-central-1";

/// The account. Who asks through it is its root, who may do everything.
pub struct Account {
    server: MiniStack,
    http: Http,
}

/// A stack's resources.
#[derive(Debug)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Logical id → type and physical id.
    pub resources: BTreeMap<String, (String, String)>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
}

impl Stack {
    /// The physical id of a resource.
    ///
    /// # Panics
    /// If there is none of the name.
    pub fn physical(&self, logical: &str) -> &str {
        &self.resources.get(logical).unwrap_or_else(|| panic!("no {logical} in {:?}", self.resources)).1
    }

    /// Logical ids of a type.
    pub fn of_type(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.resources.iter().filter(move |(_, (held, _))| held == kind).map(|(logical, _)| logical.as_str())
    }
}

impl Account {
    /// Opens one; `None` if MiniStack is not installed.
    pub fn open() -> Option<Self> {
        Some(Account { server: MiniStack::account()?, http: Http::one() })
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// What a program needs to know, to use the account.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let [key, secret] = MiniStack::KEY;
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        ]
    }

    /// Sends a signed request.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (url, body) = (format!("{}{path}", self.endpoint()), body.into());
        let [key, secret] = MiniStack::KEY;
        let identity = Credentials::new(key, secret, None, None, "test").into();
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = SigningParams::builder().identity(&identity).region(REGION).name(service);
        let params = params.time(SystemTime::now()).settings(settings).build().expect("all is set").into();
        let signable = SignableRequest::new(method, &*url, headers.iter().copied(), SignableBody::Bytes(&body));
        let (signed, _) = sign(signable.expect("signable"), &params).expect("signed").into_parts();
        let signed: Vec<(String, String)> =
            signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let all = headers.iter().copied().chain(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let all: Vec<(&str, &str)> = all.collect();
        let answer = self.http.send(method, &url, &all, body).await;
        answer.unwrap_or_else(|error| panic!("{service} {method} {path}: {error}"))
    }

    /// Sends a request through a stack's API, which is known by its host: no directory of names has that.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(
        &self,
        stack: &Stack,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let host = stack.outputs["ApiUrl"].split("://").nth(1).expect("a URL").trim_end_matches('/');
        let headers: Vec<(&str, &str)> = [("host", host)].into_iter().chain(headers.iter().copied()).collect();
        let answer = self.http.send(method, &format!("{}{path}", self.endpoint()), &headers, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Asks a service that speaks forms and XML.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn query(&self, service: &str, version: &str, action: &str, members: &[(&str, &str)]) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in members {
            form += &format!("&{}={}", encoded(name), encoded(value));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.send(service, "POST", "/", &headers, form).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.text());
        answer.text()
    }

    /// Asks CloudFormation.
    pub async fn formation(&self, action: &str, stack: &str, members: &[(&str, &str)]) -> String {
        let members: Vec<(&str, &str)> = [("StackName", stack)].into_iter().chain(members.iter().copied()).collect();
        self.query("cloudformation", "2010-05-15", action, &members).await
    }

    /// Asks a service that speaks JSON for `AmazonSQS.ReceiveMessage` or its like.
    ///
    /// # Panics
    /// If it refuses.
    pub async fn json(&self, service: &str, target: &str, content: &Value) -> Value {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.0")];
        let answer = self.send(service, "POST", "/", &headers, content.to_string()).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Puts an object into a bucket.
    ///
    /// # Panics
    /// If S3 refuses.
    pub async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) {
        let answer = self.send("s3", "PUT", &format!("/{bucket}/{key}"), &[], body).await;
        assert_eq!(answer.status, 200, "{key}: {}", answer.text());
    }

    /// Makes a bucket, unless it is there.
    ///
    /// # Panics
    /// If S3 refuses.
    pub async fn make_bucket(&self, bucket: &str) {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        let answer = self.send("s3", "PUT", &format!("/{bucket}"), &[], place).await;
        let there = answer.text().contains("BucketAlreadyOwnedByYou");
        assert!(answer.status == 200 || there, "{bucket}: {}", answer.text());
    }

    /// An object, if there is one.
    ///
    /// # Panics
    /// If S3 refuses.
    pub async fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        let answer = self.send("s3", "GET", &format!("/{bucket}/{key}"), &[], "").await;
        match answer.status.as_u16() {
            200 => Some(answer.body),
            404 => None,
            status => panic!("{status}: {}", answer.text()),
        }
    }

    /// Waits until nothing is done to a stack any more; its state then.
    ///
    /// # Panics
    /// If it takes too long.
    pub async fn settled(&self, stack: &str) -> String {
        let started = Instant::now();
        loop {
            let said = self.formation("DescribeStacks", stack, &[]).await;
            let status = between(&said, "StackStatus").next().expect("a status").to_owned();
            if !status.ends_with("_IN_PROGRESS") {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "{said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a stack is made of.
    ///
    /// # Panics
    /// If there is none.
    pub async fn stack(&self, name: &str) -> Stack {
        let one = |xml: &str, element: &str| between(xml, element).next().unwrap_or_default().to_owned();
        let said = self.formation("DescribeStackResources", name, &[]).await;
        let members = between(&said, "member").map(|member| {
            (one(member, "LogicalResourceId"), (one(member, "ResourceType"), one(member, "PhysicalResourceId")))
        });
        let resources = members.collect();
        let said = self.formation("DescribeStacks", name, &[]).await;
        let (_, outputs) = said.split_once("<Outputs>").unwrap_or_default();
        let outputs = between(outputs, "member").map(|member| (one(member, "OutputKey"), one(member, "OutputValue")));
        let outputs = outputs.filter(|(key, _)| !key.is_empty()).collect();
        Stack { name: name.to_owned(), resources, outputs }
    }

    /// Invokes a function; what it answers, or what is wrong with it.
    ///
    /// # Errors
    /// If it does not start, or ends.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, String> {
        let path = format!("/2015-03-31/functions/{function}/invocations?Qualifier=live");
        let answer = self.send("lambda", "POST", &path, &[], event.to_string()).await;
        let fine = answer.status == 200 && !answer.headers.contains_key("x-amz-function-error");
        if fine { Ok(answer.json()) } else { Err(answer.text()) }
    }

    /// A user who may do what this policy says; what a program needs to know, to use the account as that user.
    ///
    /// # Panics
    /// If IAM refuses.
    pub async fn user(&self, name: &str, policy: &Value) -> Vec<(&'static str, String)> {
        let ask = async |action: &str, members: &[(&str, &str)]| {
            let members = [&[("UserName", name)], members].concat();
            self.query("iam", "2010-05-08", action, &members).await
        };
        ask("CreateUser", &[]).await;
        ask("PutUserPolicy", &[("PolicyName", "own"), ("PolicyDocument", &policy.to_string())]).await;
        let key = ask("CreateAccessKey", &[]).await;
        let of = |name: &str| between(&key, name).next().unwrap_or_default().to_owned();
        let mut variables = self.variables();
        for (variable, value) in &mut variables {
            match *variable {
                "AWS_ACCESS_KEY_ID" => *value = of("AccessKeyId"),
                "AWS_SECRET_ACCESS_KEY" => *value = of("SecretAccessKey"),
                _ => {}
            }
        }
        variables
    }

    /// The statements of a role's policy.
    ///
    /// # Panics
    /// If it has none.
    pub async fn policy(&self, role: &str) -> Value {
        let members = [("RoleName", role), ("PolicyName", "grants")];
        let said = self.query("iam", "2010-05-08", "GetRolePolicy", &members).await;
        let document = between(&said, "PolicyDocument").next().expect("a document");
        let document = percent_decode_str(document).decode_utf8().expect("text");
        serde_json::from_str(&document).unwrap_or_else(|error| panic!("{error}: {document}"))
    }

    /// Replaces a role's policy.
    pub async fn set_policy(&self, role: &str, document: &Value) {
        let document = document.to_string();
        let members = [("RoleName", role), ("PolicyName", "grants"), ("PolicyDocument", &document)];
        self.query("iam", "2010-05-08", "PutRolePolicy", &members).await;
    }

    /// What a queue holds now, taken out of it.
    pub async fn drain(&self, queue_url: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let ask = serde_json::json!({
                "QueueUrl": queue_url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"],
                "AttributeNames": ["All"],
            });
            let said = self.json("sqs", "AmazonSQS.ReceiveMessage", &ask).await;
            let Some(messages) = said["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
                return all;
            };
            all.extend(messages.iter().cloned());
        }
    }
}

/// What stands in each element of this name, of those that do not stand in one another.
pub fn between<'a>(xml: &'a str, element: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, next) = after.split_once(&close)?;
        rest = next;
        Some(text)
    })
}
