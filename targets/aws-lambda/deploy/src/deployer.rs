//! The role that a pipeline deploys with: what `deploy` and its kin ask for, and what CloudFormation does in the caller's name
//! for each type that is in the application's template. As a template of its own, deployed once by whoever may.
//!
//! A pipeline gets it by OpenID Connect: there is no key that could be lost.

mod boundary;

use crate::TAG;
use crate::repository;
use crate::stack::sorted;
use boundary::Boundary;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use updraft_wire::aws::ROLE_PATH;

/// Who the pipeline's tokens are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// GitHub Actions.
    GitHub,
    /// gitlab.com. One of one's own is a parameter away.
    GitLab,
}

/// What a role is made for.
#[derive(Clone, Copy, Debug)]
pub struct Deployer<'a> {
    /// The application's name.
    pub app: &'a str,
    /// The stack's name.
    pub stack: &'a str,
    /// The code bucket, if it is not Updraft's own.
    pub bucket: Option<&'a str>,
    /// The repository of its images, if it is not Updraft's own.
    pub repository: Option<&'a str>,
    /// The application's template.
    pub template: &'a Value,
    /// Those of its parts, by their names.
    pub parts: &'a BTreeMap<String, Value>,
    /// Who the pipeline's tokens are of.
    pub issuer: Issuer,
}

/// The path of all roles like it. What CloudFormation makes for applications has none, so that its names can't be among these.
const PATH: &str = "/updraft-deployer/";

/// CloudFormation cuts a stack's name to as many characters where it makes other names of it.
const SHOWN: usize = 24;

/// What deploying asks of CloudFormation, on the stack and its change sets.
const ON_THE_STACK: [&str; 16] = [
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeEvents",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStackResourceDrifts",
    "cloudformation:DescribeStackResources",
    "cloudformation:DescribeStacks",
    "cloudformation:DetectStackDrift",
    "cloudformation:DetectStackResourceDrift",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:ListChangeSets",
    "cloudformation:ListStackResources",
];

/// What deploying asks of the code bucket.
const ON_THE_BUCKET: [&str; 6] = [
    "s3:CreateBucket",
    "s3:GetBucketPolicy",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration",
];

/// What deploying an image asks of its repository; and Lambda in the caller's name, which lets itself fetch what is there.
const ON_THE_REPOSITORY: [&str; 10] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:SetRepositoryPolicy",
    "ecr:UploadLayerPart",
];

/// What an action is allowed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum On {
    Alarms,
    Applications,
    BoundRoles,
    Buckets,
    DeploymentConfigs,
    DeploymentGroups,
    Functions,
    HttpApis,
    LogDeliveries,
    LogGroups,
    LogGroupLists,
    Mappings,
    NewMappings,
    MappingTags,
    Queues,
    Roles,
    Schedules,
    Secrets,
    Stored,
    Subscriptions,
    Tables,
    Topics,
}

/// What CloudFormation does for a resource of a type, from its making to its end; `None` if nobody said.
fn rights(kind: &str) -> Option<&'static [(On, &'static [&'static str])]> {
    Some(match kind {
        "AWS::ApiGatewayV2::Api" | "AWS::ApiGatewayV2::Integration" | "AWS::ApiGatewayV2::Route" => &[(
            On::HttpApis,
            &["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"],
        )],
        "AWS::ApiGatewayV2::Stage" => &[
            (
                On::HttpApis,
                &["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"],
            ),
            (
                On::LogDeliveries,
                &[
                    "logs:CreateLogDelivery",
                    "logs:DeleteLogDelivery",
                    "logs:DescribeResourcePolicies",
                    "logs:GetLogDelivery",
                    "logs:ListLogDeliveries",
                    "logs:PutResourcePolicy",
                    "logs:UpdateLogDelivery",
                ],
            ),
        ],
        "AWS::CloudWatch::Alarm" => &[(
            On::Alarms,
            &[
                "cloudwatch:DeleteAlarms",
                "cloudwatch:DescribeAlarms",
                "cloudwatch:ListTagsForResource",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:TagResource",
                "cloudwatch:UntagResource",
            ],
        )],
        "AWS::CodeDeploy::Application" => &[(
            On::Applications,
            &[
                "codedeploy:CreateApplication",
                "codedeploy:DeleteApplication",
                "codedeploy:GetApplication",
                "codedeploy:GetApplicationRevision",
                "codedeploy:ListTagsForResource",
                "codedeploy:RegisterApplicationRevision",
                "codedeploy:TagResource",
                "codedeploy:UntagResource",
                "codedeploy:UpdateApplication",
            ],
        )],
        // Versions are shifted by deployments that CloudFormation makes.
        "AWS::CodeDeploy::DeploymentGroup" => &[
            (
                On::DeploymentGroups,
                &[
                    "codedeploy:CreateDeployment",
                    "codedeploy:CreateDeploymentGroup",
                    "codedeploy:DeleteDeploymentGroup",
                    "codedeploy:GetDeployment",
                    "codedeploy:GetDeploymentGroup",
                    "codedeploy:UpdateDeploymentGroup",
                ],
            ),
            (On::DeploymentConfigs, &["codedeploy:GetDeploymentConfig"]),
        ],
        "AWS::DynamoDB::Table" => &[(
            On::Tables,
            &[
                "dynamodb:CreateTable",
                "dynamodb:DeleteTable",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeContributorInsights",
                "dynamodb:DescribeKinesisStreamingDestination",
                "dynamodb:DescribeTable",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:GetResourcePolicy",
                "dynamodb:ListTagsOfResource",
                "dynamodb:TagResource",
                "dynamodb:UntagResource",
                "dynamodb:UpdateContinuousBackups",
                "dynamodb:UpdateTable",
                "dynamodb:UpdateTimeToLive",
            ],
        )],
        "AWS::IAM::Role" => &[
            (On::BoundRoles, &["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"]),
            (
                On::Roles,
                &[
                    "iam:DeleteRole",
                    "iam:GetRole",
                    "iam:GetRolePolicy",
                    "iam:ListAttachedRolePolicies",
                    "iam:ListRolePolicies",
                    "iam:TagRole",
                    "iam:UntagRole",
                    "iam:UpdateAssumeRolePolicy",
                    "iam:UpdateRole",
                    "iam:UpdateRoleDescription",
                ],
            ),
        ],
        "AWS::Lambda::Alias" => {
            &[(On::Functions, &["lambda:CreateAlias", "lambda:DeleteAlias", "lambda:GetAlias", "lambda:UpdateAlias"])]
        }
        "AWS::Lambda::EventInvokeConfig" => &[(
            On::Functions,
            &[
                "lambda:DeleteFunctionEventInvokeConfig",
                "lambda:GetFunctionEventInvokeConfig",
                "lambda:PutFunctionEventInvokeConfig",
                "lambda:UpdateFunctionEventInvokeConfig",
            ],
        )],
        "AWS::Lambda::EventSourceMapping" => &[
            (On::NewMappings, &["lambda:CreateEventSourceMapping"]),
            (
                On::Mappings,
                &["lambda:DeleteEventSourceMapping", "lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"],
            ),
            (On::MappingTags, &["lambda:ListTags", "lambda:TagResource", "lambda:UntagResource"]),
        ],
        "AWS::Lambda::Function" => &[(
            On::Functions,
            &[
                "lambda:CreateFunction",
                "lambda:DeleteFunction",
                "lambda:DeleteFunctionConcurrency",
                "lambda:GetFunction",
                "lambda:GetFunctionCodeSigningConfig",
                "lambda:GetFunctionConfiguration",
                "lambda:GetFunctionRecursionConfig",
                "lambda:GetRuntimeManagementConfig",
                "lambda:ListTags",
                "lambda:PutFunctionConcurrency",
                "lambda:TagResource",
                "lambda:UntagResource",
                "lambda:UpdateFunctionCode",
                "lambda:UpdateFunctionConfiguration",
            ],
        )],
        "AWS::Lambda::Permission" => {
            &[(On::Functions, &["lambda:AddPermission", "lambda:GetPolicy", "lambda:RemovePermission"])]
        }
        "AWS::Lambda::Url" => &[(
            On::Functions,
            &[
                "lambda:CreateFunctionUrlConfig",
                "lambda:DeleteFunctionUrlConfig",
                "lambda:GetFunctionUrlConfig",
                "lambda:UpdateFunctionUrlConfig",
            ],
        )],
        "AWS::Lambda::Version" => &[(
            On::Functions,
            &["lambda:GetProvisionedConcurrencyConfig", "lambda:ListVersionsByFunction", "lambda:PublishVersion"],
        )],
        "AWS::Logs::LogGroup" => &[
            (
                On::LogGroups,
                &[
                    "logs:CreateLogGroup",
                    "logs:DeleteLogGroup",
                    "logs:DeleteRetentionPolicy",
                    "logs:ListTagsForResource",
                    "logs:PutRetentionPolicy",
                    "logs:TagResource",
                    "logs:UntagResource",
                ],
            ),
            (On::LogGroupLists, &["logs:DescribeLogGroups"]),
        ],
        "AWS::S3::Bucket" => &[(
            On::Buckets,
            &[
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:GetBucketNotification",
                "s3:GetBucketOwnershipControls",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetBucketTagging",
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:ListBucket",
                "s3:PutBucketNotification",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketTagging",
                "s3:PutBucketVersioning",
                "s3:PutEncryptionConfiguration",
                "s3:PutLifecycleConfiguration",
            ],
        )],
        "AWS::S3::BucketPolicy" => {
            &[(On::Buckets, &["s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"])]
        }
        "AWS::SNS::Subscription" => &[
            (On::Topics, &["sns:ListSubscriptionsByTopic", "sns:Subscribe"]),
            (On::Subscriptions, &["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"]),
        ],
        "AWS::SNS::Topic" => &[(
            On::Topics,
            &[
                "sns:CreateTopic",
                "sns:DeleteTopic",
                "sns:GetDataProtectionPolicy",
                "sns:GetTopicAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:ListTagsForResource",
                "sns:SetTopicAttributes",
                "sns:TagResource",
                "sns:UntagResource",
            ],
        )],
        "AWS::SQS::Queue" => &[(
            On::Queues,
            &[
                "sqs:CreateQueue",
                "sqs:DeleteQueue",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ListQueueTags",
                "sqs:SetQueueAttributes",
                "sqs:TagQueue",
                "sqs:UntagQueue",
            ],
        )],
        "AWS::SQS::QueuePolicy" => &[(On::Queues, &["sqs:SetQueueAttributes"])],
        "AWS::Scheduler::Schedule" => &[(
            On::Schedules,
            &[
                "scheduler:CreateSchedule",
                "scheduler:DeleteSchedule",
                "scheduler:GetSchedule",
                "scheduler:UpdateSchedule",
            ],
        )],
        "AWS::SSM::Parameter" => &[(
            On::Stored,
            &[
                "ssm:AddTagsToResource",
                "ssm:DeleteParameter",
                "ssm:GetParameters",
                "ssm:ListTagsForResource",
                "ssm:PutParameter",
                "ssm:RemoveTagsFromResource",
            ],
        )],
        "AWS::SecretsManager::Secret" => &[(
            On::Secrets,
            &[
                "secretsmanager:CreateSecret",
                "secretsmanager:DeleteSecret",
                "secretsmanager:DescribeSecret",
                "secretsmanager:TagResource",
                "secretsmanager:UntagResource",
                "secretsmanager:UpdateSecret",
            ],
        )],
        _ => return None,
    })
}

impl Deployer<'_> {
    /// The template of the role.
    ///
    /// # Errors
    /// With the type that nobody said the rights of: a bug of ours.
    pub fn template(&self) -> Result<Value, String> {
        let statements = self.statements()?;
        let whys: Map<String, Value> = statements
            .iter()
            .filter_map(|(sid, _, why)| why.map(|why| ((*sid).to_owned(), Value::from(why))))
            .collect();
        let policy: Vec<&Value> = statements.iter().map(|(_, statement, _)| statement).collect();
        let boundary = Boundary::of(self);
        let bounded = match &boundary {
            Some(_) => "it writes the policies of their roles, within a boundary that it can't change",
            None => "it writes the policies of their roles, and what they allow is not bounded here",
        };
        let (host, audience) = match self.issuer {
            Issuer::GitHub => ("token.actions.githubusercontent.com", "sts.amazonaws.com"),
            Issuer::GitLab => ("gitlab.com", "https://gitlab.com"),
        };
        let subject = match self.issuer {
            Issuer::GitHub => json!({
                "Type": "String",
                "Description": "Whose tokens are taken: a repository and an environment of it, repo:OWNER/NAME:environment:NAME",
                "AllowedPattern": "repo:[^*?:]+/[^*?:]+:environment:[^*?]+",
            }),
            Issuer::GitLab => json!({
                "Type": "String",
                "Description": "Whose tokens are taken: a project and a branch of it, project_path:GROUP/NAME:ref_type:branch:ref:NAME",
                "AllowedPattern": "project_path:[^*?:]+:ref_type:branch:ref:[^*?]+",
            }),
        };
        let provider = json!({ "Fn::If": ["NewProvider", { "Ref": "Provider" }, { "Ref": "ProviderArn" }] });
        let mut whole = json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": format!(
                "The role that deploys {} as the stack {}. Whoever has it decides what the application's functions may do: {bounded}. Its \
                 own rights it can't change",
                self.app, self.stack
            ),
            "Metadata": { "updraft": { "wide": whys } },
            "Parameters": {
                "Subject": subject,
                "ProviderArn": {
                    "Type": "String",
                    "Default": "",
                    "Description": format!("The account's OpenID Connect provider for {host}; empty makes one, of which an account has one"),
                },
            },
            "Conditions": { "NewProvider": { "Fn::Equals": [{ "Ref": "ProviderArn" }, ""] } },
            "Resources": {
                "Provider": {
                    "Type": "AWS::IAM::OIDCProvider",
                    "Condition": "NewProvider",
                    "DeletionPolicy": "Retain",
                    "UpdateReplacePolicy": "Retain",
                    "Properties": { "Url": format!("https://{host}"), "ClientIdList": [audience] },
                },
                "Deployer": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "Description": format!("Deploys {} as the stack {}", self.app, self.stack),
                        "Path": PATH,
                        "MaxSessionDuration": 3600,
                        "AssumeRolePolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [{
                                "Sid": "Pipeline",
                                "Effect": "Allow",
                                "Action": ["sts:AssumeRoleWithWebIdentity"],
                                "Principal": { "Federated": provider },
                                "Condition": {
                                    "StringEquals": {
                                        format!("{host}:aud"): audience,
                                        format!("{host}:sub"): { "Ref": "Subject" },
                                    },
                                },
                            }],
                        },
                        "Policies": [{
                            "PolicyName": "deploy",
                            "PolicyDocument": { "Version": "2012-10-17", "Statement": policy },
                        }],
                        "Tags": [{ "Key": TAG, "Value": self.app }],
                    },
                },
            },
            "Outputs": {
                "RoleArn": {
                    "Description": "What the pipeline is told",
                    "Value": { "Fn::GetAtt": ["Deployer", "Arn"] },
                },
            },
        });
        if let Some(name) = boundary.and_then(|boundary| boundary.name) {
            whole["Resources"]["Boundary"] = json!({
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "ManagedPolicyName": name,
                    "Description": format!("What the roles of {} may allow at most, as the stack {}", self.app, self.stack),
                    "PolicyDocument": { "Version": "2012-10-17", "Statement": self.at_most()? },
                },
            });
        }
        Ok(sorted(&whole))
    }

    /// Statements by name; with each that is wide, why.
    fn statements(&self) -> Result<Vec<(&'static str, Value, Option<&'static str>)>, String> {
        let mut allowed: BTreeMap<On, BTreeSet<&'static str>> = BTreeMap::new();
        let kinds: BTreeSet<&str> = self.resources().filter_map(|(_, resource)| resource["Type"].as_str()).collect();
        for kind in &kinds {
            for (on, actions) in rights(kind).ok_or_else(|| (*kind).to_owned())? {
                allowed.entry(*on).or_default().extend(*actions);
            }
        }
        let bucket = self.bucket.map_or_else(|| "updraft-${AWS::AccountId}-${AWS::Region}".to_owned(), str::to_owned);
        // One of the user's own is the user's to make.
        let on_the_bucket: &[&str] = if self.bucket.is_some() { &["s3:ListBucket"] } else { &ON_THE_BUCKET };
        let parts = self.parts.keys().map(|part| format!("{}-{part}", self.stack));
        let stacks = [self.stack.to_owned()].into_iter().chain(parts);
        let stacks = stacks.map(|stack| self.arn("cloudformation", &format!("stack/{stack}/*"))).collect();
        let mut statements = vec![
            self.allow("Stack", &ON_THE_STACK, stacks),
            self.allow("CodeBucket", on_the_bucket, vec![sub(&format!("arn:${{AWS::Partition}}:s3:::{bucket}"))]),
            self.allow(
                "Code",
                &["s3:GetObject", "s3:PutObject"],
                vec![sub(&format!("arn:${{AWS::Partition}}:s3:::{bucket}/{}/*", self.app))],
            ),
            (
                "DriftStatus",
                statement("DriftStatus", ["cloudformation:DescribeStackDriftDetectionStatus"], vec!["*".into()], None),
                Some("a search for drift is asked about by its own id, which AWS ties to no stack"),
            ),
        ];
        if let (Some(_), Some(actions)) = (Boundary::of(self), allowed.get_mut(&On::BoundRoles)) {
            // Those that had none get one; none loses it.
            actions.insert("iam:PutRolePermissionsBoundary");
        }
        for (on, actions) in allowed {
            statements.push(self.on(on, &actions.into_iter().collect::<Vec<_>>()));
        }
        if !self.parts.is_empty() {
            let path = format!("parameter/updraft/{}/parts", self.stack);
            let paths = vec![self.arn("ssm", &path), self.arn("ssm", &format!("{path}/*"))];
            statements.push(self.allow("Parts", &["ssm:GetParametersByPath"], paths));
        }
        if self.template["Metadata"]["updraft"]["parameters"].is_object() {
            let why = "parameters are found by listing them, which AWS ties to none; their values are not in the list";
            let listed = statement("Parameters", ["ssm:DescribeParameters"], vec!["*".into()], None);
            statements.push(("Parameters", listed, Some(why)));
        }
        if self.has(|properties| properties["PackageType"] == "Image") {
            let own = repository::default_name(self.app);
            let name = self.repository.unwrap_or(&own);
            // One of the user's own is the user's to make.
            let makes = self.repository.is_none().then_some("ecr:CreateRepository");
            let actions: BTreeSet<&'static str> = ON_THE_REPOSITORY.into_iter().chain(makes).collect();
            let actions: Vec<&'static str> = actions.into_iter().collect();
            statements.push(self.allow("Images", &actions, vec![self.arn("ecr", &format!("repository/{name}"))]));
            let why = "a registry's password is of all that one may reach there, and AWS ties it to no repository";
            let sid = "RegistryPassword";
            statements.push((sid, statement(sid, ["ecr:GetAuthorizationToken"], vec!["*".into()], None), Some(why)));
        }
        if self.has(|properties| properties["VpcConfig"].is_object()) {
            let actions = ["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"];
            let why = "Lambda looks for a function's subnets and security groups in its maker's name, and none of it has an ARN";
            statements.push(("Network", statement("Network", actions, vec!["*".into()], None), Some(why)));
        }
        // Whatever the stack is called: nobody gives more rights to who gives rights.
        let own = sub(&format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role{PATH}*"));
        let deny = json!({ "Sid": "NotItself", "Effect": "Deny", "Action": ["iam:*"], "Resource": [own] });
        statements.push(("NotItself", deny, None));
        let services: Vec<&str> = [
            ("AWS::Lambda::Function", "lambda.amazonaws.com"),
            ("AWS::Scheduler::Schedule", "scheduler.amazonaws.com"),
            ("AWS::CodeDeploy::DeploymentGroup", "codedeploy.amazonaws.com"),
        ]
        .into_iter()
        .filter_map(|(kind, service)| kinds.contains(kind).then_some(service))
        .collect();
        if !services.is_empty() {
            let condition = json!({ "StringEquals": { "iam:PassedToService": services } });
            let roles = vec![self.role()];
            statements.push(("PassRoles", statement("PassRoles", ["iam:PassRole"], roles, Some(condition)), None));
        }
        Ok(statements)
    }

    /// All resources of all templates.
    fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        let templates = [self.template].into_iter().chain(self.parts.values());
        templates.flat_map(|template| template["Resources"].as_object().into_iter().flatten())
    }

    /// Whether a resource of a template is like this.
    fn has(&self, like: impl Fn(&Value) -> bool) -> bool {
        self.resources().any(|(_, resource)| like(&resource["Properties"]))
    }

    fn allow(
        &self,
        sid: &'static str,
        actions: &[&'static str],
        resources: Vec<Value>,
    ) -> (&'static str, Value, Option<&'static str>) {
        (sid, statement(sid, actions.iter().copied(), resources, None), None)
    }

    /// `arn:aws:sqs:eu-central-1:123456789012:…`.
    fn arn(&self, service: &str, rest: &str) -> Value {
        sub(&format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{rest}"))
    }

    /// The stack's roles have a path of their own, which no other stack's can begin with.
    fn role(&self) -> Value {
        sub(&format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role{ROLE_PATH}{}/*", self.stack))
    }

    /// What CloudFormation's names for the stack's resources begin with: not what those of `shopping` do if it is `shop`.
    fn prefix(&self) -> String {
        match self.stack.char_indices().nth(SHOWN) {
            Some((end, _)) => self.stack[..end].to_owned(),
            None => format!("{}-", self.stack),
        }
    }

    fn on(&self, on: On, actions: &[&'static str]) -> (&'static str, Value, Option<&'static str>) {
        let own = |service: &str, before: &str, after: &str| {
            vec![self.arn(service, &format!("{before}{}*{after}", self.prefix()))]
        };
        let of_functions = || {
            let function = self.arn("lambda", &format!("function:{}*", self.prefix()));
            Some(json!({ "ArnLike": { "lambda:FunctionArn": function } }))
        };
        let (sid, resources, condition, why) = match on {
            On::Alarms => ("Alarms", own("cloudwatch", "alarm:", ""), None, None),
            On::Applications => ("Applications", own("codedeploy", "application:", ""), None, None),
            On::BoundRoles => {
                let within = Boundary::of(self);
                let within = within.map(|within| json!({ "StringEquals": { "iam:PermissionsBoundary": within.arn } }));
                ("BoundRoles", vec![self.role()], within, None)
            }
            On::Buckets => ("Buckets", self.buckets(), None, None),
            On::DeploymentConfigs => (
                "DeploymentConfigs",
                vec![self.arn("codedeploy", "deploymentconfig:*")],
                None,
                Some("AWS's own ways of shifting traffic are read; there is nothing to write"),
            ),
            On::DeploymentGroups => ("DeploymentGroups", own("codedeploy", "deploymentgroup:", "/*"), None, None),
            On::Functions => ("Functions", own("lambda", "function:", ""), None, None),
            On::HttpApis => (
                "HttpApis",
                ["apis", "apis/*", "tags/*"]
                    .map(|path| sub(&format!("arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}::/{path}")))
                    .into(),
                None,
                Some("AWS chooses an API's id, so that none can be named before it is there"),
            ),
            On::LogDeliveries => (
                "LogDeliveries",
                vec!["*".into()],
                None,
                Some("access logs of an API are a log delivery, which AWS ties to no resource"),
            ),
            On::LogGroups => {
                ("LogGroups", vec![self.arn("logs", &format!("log-group:{}*", self.prefix()))], None, None)
            }
            On::LogGroupLists => (
                "LogGroupLists",
                vec!["*".into()],
                None,
                Some("a group is found by listing groups, which AWS ties to none"),
            ),
            On::Mappings => (
                "Mappings",
                vec![self.arn("lambda", "event-source-mapping:*")],
                of_functions(),
                Some("AWS chooses a mapping's id; the condition keeps to those of the stack's functions"),
            ),
            On::NewMappings => (
                "NewMappings",
                vec!["*".into()],
                of_functions(),
                Some("a mapping has no ARN before it is there; the condition keeps to those of the stack's functions"),
            ),
            On::MappingTags => (
                "MappingTags",
                vec![self.arn("lambda", "event-source-mapping:*")],
                None,
                Some("AWS chooses a mapping's id, and a request for its tags does not name its function"),
            ),
            On::Queues => ("Queues", own("sqs", "", ""), None, None),
            On::Roles => ("Roles", vec![self.role()], None, None),
            On::Schedules => ("Schedules", own("scheduler", "schedule/default/", ""), None, None),
            On::Secrets => ("Secrets", self.secrets(), None, None),
            On::Stored => {
                let path = format!("parameter/updraft/{}/*", self.stack);
                ("Stored", vec![self.arn("ssm", &path)], None, None)
            }
            On::Subscriptions => (
                "Subscriptions",
                vec!["*".into()],
                None,
                Some("AWS ties what is done with a subscription that is there to no topic"),
            ),
            On::Tables => ("Tables", own("dynamodb", "table/", ""), None, None),
            On::Topics => ("Topics", own("sns", "", ""), None, None),
        };
        (sid, statement(sid, actions.iter().copied(), resources, condition), why)
    }

    fn of_type(&self, kind: &'static str) -> impl Iterator<Item = (&String, &Value)> {
        self.resources().filter(move |(_, resource)| resource["Type"] == kind)
    }

    /// Buckets have names of ours, which end with what the stack's id does.
    fn buckets(&self) -> Vec<Value> {
        let name = |resource: &Value| {
            let name = &resource["Properties"]["BucketName"];
            let text = name["Fn::Sub"][0].as_str().or(name.as_str()).unwrap_or_default();
            sub(&format!("arn:${{AWS::Partition}}:s3:::{}*", text.split("${").next().unwrap_or_default()))
        };
        self.of_type("AWS::S3::Bucket").map(|(_, resource)| name(resource)).collect()
    }

    /// CloudFormation has called secrets by their names in the template alone, without the stack's before them.
    fn secrets(&self) -> Vec<Value> {
        let names = self.of_type("AWS::SecretsManager::Secret").map(|(logical, _)| logical);
        let of = |name: &str| self.arn("secretsmanager", &format!("secret:{name}-*"));
        let both = |logical: &String| [of(logical), of(&format!("{}*{logical}", self.prefix()))];
        names.flat_map(both).collect()
    }
}

fn sub(text: &str) -> Value {
    json!({ "Fn::Sub": text })
}

fn statement(
    sid: &str,
    actions: impl IntoIterator<Item = &'static str>,
    resources: Vec<Value>,
    condition: Option<Value>,
) -> Value {
    let actions: Vec<&str> = actions.into_iter().collect();
    let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
    if let (Some(condition), Some(map)) = (condition, statement.as_object_mut()) {
        map.insert("Condition".to_owned(), condition);
    }
    statement
}
