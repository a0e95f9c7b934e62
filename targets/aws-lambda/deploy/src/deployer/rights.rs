//! What the least role that deploys may do: what deploying asks for itself, and what CloudFormation does in its name.

/// What deploying asks of CloudFormation, on the stack and its change sets.
pub(super) const ON_THE_STACK: [&str; 16] = [
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

/// What it asks of a part that is to go, and is there.
pub(super) const ON_A_PART: [&str; 9] = [
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:ListChangeSets",
    "cloudformation:ListStackResources",
];

/// What it asks of one that may be gone.
pub(super) const ON_A_GONE_PART: [&str; 3] =
    ["cloudformation:DescribeEvents", "cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks"];

/// What stacks tell each other by.
pub(super) const STORED: &str = "AWS::SSM::Parameter";

/// What deploying asks of the code bucket.
pub(super) const ON_THE_BUCKET: [&str; 6] = [
    "s3:CreateBucket",
    "s3:GetBucketPolicy",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration",
];

/// What deploying an image asks of its repository; and Lambda in the caller's name, which lets itself fetch what is there.
pub(super) const ON_THE_REPOSITORY: [&str; 10] = [
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
pub(super) enum On {
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
pub(super) fn rights(kind: &str) -> Option<&'static [(On, &'static [&'static str])]> {
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
        STORED => &[(
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
