//! A stack as CloudFormation would make it of a template: each reference is the text that it becomes in one account and
//! region, so that two places speak of the same thing if they say the same.

use crate::value::{entries, items, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// The account.
pub(super) const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";
/// What can't be told: another rule says why.
const UNKNOWN: &str = "(unknown)";
/// So many references deep.
const DEPTH: u8 = 16;

/// A resource.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) arn: Option<String>,
    /// What `Ref` gives.
    pub(super) reference: String,
    /// Without references.
    pub(super) properties: Value,
    /// The names of `DependsOn`.
    pub(super) after: BTreeSet<String>,
}

impl Made {
    /// A text of its properties, at a pointer.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.properties.pointer(pointer).map(text).unwrap_or_default()
    }

    /// A number of its properties, at a pointer.
    pub(super) fn number(&self, pointer: &str) -> Option<u64> {
        self.properties.pointer(pointer).and_then(Value::as_u64)
    }

    /// Whether its ARN is this one.
    pub(super) fn is(&self, arn: &str) -> bool {
        self.arn.as_deref() == Some(arn)
    }
}

/// All resources.
pub(super) struct Stack(Vec<Made>);

impl Stack {
    pub(super) fn of(template: &Value) -> Self {
        let names = Names { template };
        let made = |(name, resource): (&String, &Value)| Made {
            name: name.clone(),
            kind: text(&resource["Type"]).to_owned(),
            arn: names.arn(name, DEPTH),
            reference: names.reference(name, DEPTH),
            properties: names.value(&resource["Properties"], DEPTH),
            after: one_or_many(&resource["DependsOn"]).into_iter().map(str::to_owned).collect(),
        };
        let mut all: Vec<Made> = entries(&template["Resources"]).map(made).collect();
        all.extend(entries(&template["Metadata"]["updraft"]["parameters"]).map(|(name, _)| parameter(name)));
        Stack(all)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Made> {
        self.0.iter()
    }

    /// Those of a type, `SQS::Queue`.
    pub(super) fn each<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Made> {
        let kind = format!("AWS::{kind}");
        self.0.iter().filter(move |made| made.kind == kind)
    }

    pub(super) fn by_arn(&self, kind: &str, arn: &str) -> Option<&Made> {
        self.each(kind).find(|made| made.is(arn))
    }

    pub(super) fn by_reference(&self, kind: &str, reference: &str) -> Option<&Made> {
        self.each(kind).find(|made| made.reference == reference)
    }
}

/// A parameter that holds a secret. It is none of the template's, which says of it that there is one.
fn parameter(name: &str) -> Made {
    let reference = format!("/updraft/stack/{name}");
    Made {
        name: name.to_owned(),
        kind: "AWS::SSM::Parameter".to_owned(),
        arn: Some(format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{reference}")),
        reference,
        properties: Value::Null,
        after: BTreeSet::new(),
    }
}

/// Texts of a text or a list of them.
pub(super) fn one_or_many(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(text).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

struct Names<'a> {
    template: &'a Value,
}

impl Names<'_> {
    fn value(&self, value: &Value, depth: u8) -> Value {
        match value {
            Value::Object(map) => {
                if let (1, Some((key, inner))) = (map.len(), map.iter().next())
                    && let Some(found) = self.intrinsic(key, inner, depth)
                {
                    return found;
                }
                Value::Object(map.iter().map(|(key, inner)| (key.clone(), self.value(inner, depth))).collect())
            }
            Value::Array(list) => Value::Array(list.iter().map(|inner| self.value(inner, depth)).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn intrinsic(&self, key: &str, inner: &Value, depth: u8) -> Option<Value> {
        let Some(deeper) = depth.checked_sub(1) else { return Some(UNKNOWN.into()) };
        Some(match key {
            "Ref" => self.reference(text(inner), deeper).into(),
            "Fn::GetAtt" => self.attribute(text(&inner[0]), text(&inner[1]), deeper).into(),
            "Fn::Sub" => self.filled(inner, deeper).into(),
            "Fn::Join" => {
                let parts = self.value(&inner[1], deeper);
                one_or_many(&parts).join(text(&inner[0])).into()
            }
            "Fn::Split" => {
                let whole = self.value(&inner[1], deeper);
                text(&whole).split(text(&inner[0])).map(Value::from).collect()
            }
            "Fn::Select" => {
                let at = inner[0].as_u64().or_else(|| text(&inner[0]).parse().ok())?;
                let list = self.value(&inner[1], deeper);
                items(&list).get(usize::try_from(at).ok()?).cloned().unwrap_or_else(|| UNKNOWN.into())
            }
            _ => return None,
        })
    }

    fn filled(&self, inner: &Value, depth: u8) -> String {
        let (template, own) = match inner {
            Value::String(template) => (template.as_str(), &Value::Null),
            _ => (text(&inner[0]), &inner[1]),
        };
        let mut parts = template.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.split_once('}') {
                Some((hole, rest)) => {
                    match (hole.strip_prefix('!'), own.get(hole), hole.split_once('.')) {
                        (Some(plain), ..) => out += &format!("${{{plain}}}"),
                        (_, Some(value), _) => out += text(&self.value(value, depth)),
                        (.., Some((name, attribute))) => out += &self.attribute(name, attribute, depth),
                        (.., None) => out += &self.reference(hole, depth),
                    }
                    out += rest;
                }
                None => out += part,
            }
        }
        out
    }

    /// What `Ref` gives.
    fn reference(&self, name: &str, depth: u8) -> String {
        match name {
            "AWS::AccountId" => return ACCOUNT.to_owned(),
            "AWS::Region" => return REGION.to_owned(),
            "AWS::Partition" => return "aws".to_owned(),
            "AWS::URLSuffix" => return "amazonaws.com".to_owned(),
            "AWS::StackName" => return "stack".to_owned(),
            "AWS::StackId" => {
                return format!(
                    "arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/stack/01234567-89ab-cdef-0123-456789abcdef"
                );
            }
            _ => {}
        }
        let resource = &self.template["Resources"][name];
        let arn = || self.arn(name, depth).unwrap_or_else(|| UNKNOWN.to_owned());
        match text(&resource["Type"]) {
            "" if self.template["Parameters"][name].is_null() => UNKNOWN.to_owned(),
            "AWS::SQS::Queue" => {
                format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{}", self.physical(name, depth))
            }
            "AWS::SNS::Topic" | "AWS::SecretsManager::Secret" | "AWS::Lambda::Version" | "AWS::Lambda::Alias" => arn(),
            _ => self.physical(name, depth),
        }
    }

    fn attribute(&self, name: &str, attribute: &str, depth: u8) -> String {
        match (text(&self.template["Resources"][name]["Type"]), attribute) {
            ("", _) => UNKNOWN.to_owned(),
            ("AWS::Lambda::Version", "Version") => "1".to_owned(),
            ("AWS::Lambda::Url", "FunctionUrl") => {
                format!("https://{}.lambda-url.{REGION}.on.aws/", self.physical(name, depth))
            }
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => {
                format!("https://{}.execute-api.{REGION}.amazonaws.com", self.physical(name, depth))
            }
            ("AWS::SecretsManager::Secret", "Id") | (_, "Arn") => {
                self.arn(name, depth).unwrap_or_else(|| UNKNOWN.to_owned())
            }
            _ => format!("{name}.{attribute}"),
        }
    }

    /// The name that it has in AWS: its own or its logical id.
    fn physical(&self, name: &str, depth: u8) -> String {
        let resource = &self.template["Resources"][name];
        let property = match text(&resource["Type"]) {
            "AWS::S3::Bucket" => "BucketName",
            "AWS::SQS::Queue" => "QueueName",
            "AWS::SNS::Topic" => "TopicName",
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::Lambda::Function" => "FunctionName",
            "AWS::IAM::Role" => "RoleName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::SecretsManager::Secret" | "AWS::Scheduler::Schedule" => "Name",
            _ => "",
        };
        let own = &resource["Properties"][property];
        let fifo = resource["Properties"]["FifoQueue"] == true || resource["Properties"]["FifoTopic"] == true;
        match (own.is_null(), depth.checked_sub(1)) {
            (false, Some(deeper)) => text(&self.value(own, deeper)).to_owned(),
            _ => format!("{name}{}", if fifo { ".fifo" } else { "" }),
        }
    }

    fn arn(&self, name: &str, depth: u8) -> Option<String> {
        let deeper = depth.checked_sub(1)?;
        let resource = &self.template["Resources"][name];
        let properties = &resource["Properties"];
        let physical = || self.physical(name, deeper);
        let named =
            |service: &str, prefix: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{prefix}{}", physical());
        // Of what a property names.
        let function = || {
            let named = self.value(&properties["FunctionName"], deeper);
            format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", text(&named))
        };
        Some(match text(&resource["Type"]) {
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{}", physical()),
            "AWS::SQS::Queue" => named("sqs", ""),
            "AWS::SNS::Topic" => named("sns", ""),
            "AWS::DynamoDB::Table" => named("dynamodb", "table/"),
            "AWS::Lambda::Function" => named("lambda", "function:"),
            "AWS::Lambda::Version" => format!("{}:1", function()),
            "AWS::Lambda::Alias" => format!("{}:{}", function(), text(&properties["Name"])),
            "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT}:role/{}", physical()),
            "AWS::Logs::LogGroup" => format!("{}:*", named("logs", "log-group:")),
            "AWS::SecretsManager::Secret" => format!("{}-a1b2c3", named("secretsmanager", "secret:")),
            "AWS::Scheduler::Schedule" => named("scheduler", "schedule/default/"),
            "AWS::CloudWatch::Alarm" => named("cloudwatch", "alarm:"),
            "AWS::KMS::Key" => named("kms", "key/"),
            _ => return None,
        })
    }
}
