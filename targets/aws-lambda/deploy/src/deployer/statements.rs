//! The statements of the role's policy: for each right that the template asks for, on what it is.

use super::boundary::Boundary;
use super::rights::{ON_A_GONE_PART, ON_A_PART, ON_THE_BUCKET, ON_THE_REPOSITORY, ON_THE_STACK, On, STORED, rights};
use super::{Deployer, PATH, sub};
use crate::parts::PART_TAG;
use crate::repository;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A statement.
pub(super) struct Statement {
    /// Its name.
    pub(super) sid: &'static str,
    /// As a policy has it.
    pub(super) document: Value,
    /// Why it is on more than the stack's own, if it is.
    pub(super) why: Option<&'static str>,
}

impl Statement {
    /// Allows this on these.
    fn allow(sid: &'static str, actions: impl IntoIterator<Item = &'static str>, resources: Vec<Value>) -> Self {
        let actions: Vec<&str> = actions.into_iter().collect();
        let document = json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources });
        Statement { sid, document, why: None }
    }

    /// Allows this on everything.
    fn anywhere(sid: &'static str, actions: impl IntoIterator<Item = &'static str>, why: &'static str) -> Self {
        Statement::allow(sid, actions, vec!["*".into()]).because(why)
    }

    /// Where this holds.
    fn under(mut self, condition: Option<Value>) -> Self {
        if let (Some(condition), Some(document)) = (condition, self.document.as_object_mut()) {
            document.insert("Condition".to_owned(), condition);
        }
        self
    }

    /// Although it is on more than the stack's own.
    fn because(self, why: &'static str) -> Self {
        Statement { why: Some(why), ..self }
    }
}

impl Deployer<'_> {
    /// The statements, in their order.
    ///
    /// # Errors
    /// With the type that nobody said the rights of: a bug of ours.
    pub(super) fn statements(&self) -> Result<Vec<Statement>, String> {
        let mut allowed: BTreeMap<On, BTreeSet<&'static str>> = BTreeMap::new();
        let kinds: BTreeSet<&str> = self.resources().filter_map(|(_, resource)| resource["Type"].as_str()).collect();
        // Parts that go have told of themselves, and been told.
        for kind in kinds.iter().chain([&STORED]) {
            for (on, actions) in rights(kind).ok_or_else(|| (*kind).to_owned())? {
                allowed.entry(*on).or_default().extend(*actions);
            }
        }
        if let (Some(_), Some(actions)) = (Boundary::of(self), allowed.get_mut(&On::BoundRoles)) {
            // Those that had none get one; none loses it.
            actions.insert("iam:PutRolePermissionsBoundary");
        }
        let mut statements = self.for_the_stack();
        statements.extend(allowed.into_iter().map(|(on, actions)| self.on(on, actions)));
        let path = format!("parameter/updraft/{}/parts", self.stack);
        let paths = vec![self.arn("ssm", &path), self.arn("ssm", &format!("{path}/*"))];
        statements.push(Statement::allow("Parts", ["ssm:GetParametersByPath"], paths));
        if self.template["Metadata"]["updraft"]["parameters"].is_object() {
            let why = "parameters are found by listing them, which AWS ties to none; their values are not in the list";
            statements.push(Statement::anywhere("Parameters", ["ssm:DescribeParameters"], why));
        }
        if self.has(|properties| properties["PackageType"] == "Image") {
            statements.extend(self.for_images());
        }
        if self.has(|properties| properties["VpcConfig"].is_object()) {
            let actions = ["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"];
            let why = "Lambda looks for a function's subnets and security groups in its maker's name, and none of it has an ARN";
            statements.push(Statement::anywhere("Network", actions, why));
        }
        // Whatever the stack is called: nobody gives more rights to who gives rights.
        let own = sub(&format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role{PATH}*"));
        let document = json!({ "Sid": "NotItself", "Effect": "Deny", "Action": ["iam:*"], "Resource": [own] });
        statements.push(Statement { sid: "NotItself", document, why: None });
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
            let passed = Statement::allow("PassRoles", ["iam:PassRole"], vec![self.role()]);
            statements.push(passed.under(Some(condition)));
        }
        Ok(statements)
    }

    /// What `deploy` and its kin ask for themselves.
    fn for_the_stack(&self) -> Vec<Statement> {
        let bucket = self.bucket.map_or_else(|| "updraft-${AWS::AccountId}-${AWS::Region}".to_owned(), str::to_owned);
        // One of the user's own is the user's to make.
        let on_the_bucket: &[&str] = if self.bucket.is_some() { &["s3:ListBucket"] } else { &ON_THE_BUCKET };
        let parts = self.parts.keys().map(|part| format!("{}-{part}", self.stack));
        let stacks = [self.stack.to_owned()].into_iter().chain(parts);
        let stacks = stacks.map(|stack| self.arn("cloudformation", &format!("stack/{stack}/*"))).collect();
        let objects = |below: &str| vec![sub(&format!("arn:${{AWS::Partition}}:s3:::{bucket}{below}"))];
        let any_part = || vec![self.arn("cloudformation", &format!("stack/{}-*/*", self.stack))];
        let tagged = json!({ "StringEquals": { format!("aws:ResourceTag/{PART_TAG}"): self.stack } });
        vec![
            Statement::allow("Stack", ON_THE_STACK, stacks),
            Statement::allow("PartsThatAreThere", ON_A_PART, any_part()).under(Some(tagged)).because(
                "a version knows its own parts and not those of the one before, which it changes and deletes; the condition keeps to \
                 the stack's",
            ),
            Statement::allow("PartsThatAreGone", ON_A_GONE_PART, any_part())
                .because("a stack that is gone has no tags to be known by, and is asked about until it is gone"),
            Statement::allow("CodeBucket", on_the_bucket.iter().copied(), objects("")),
            Statement::allow("Code", ["s3:GetObject", "s3:PutObject"], objects(&format!("/{}/*", self.app))),
            Statement::anywhere(
                "DriftStatus",
                ["cloudformation:DescribeStackDriftDetectionStatus"],
                "a search for drift is asked about by its own id, which AWS ties to no stack",
            ),
        ]
    }

    fn for_images(&self) -> [Statement; 2] {
        let own = repository::default_name(self.app);
        let name = self.repository.unwrap_or(&own);
        // One of the user's own is the user's to make.
        let makes = self.repository.is_none().then_some("ecr:CreateRepository");
        let actions: BTreeSet<&'static str> = ON_THE_REPOSITORY.into_iter().chain(makes).collect();
        let why = "a registry's password is of all that one may reach there, and AWS ties it to no repository";
        [
            Statement::allow("Images", actions, vec![self.arn("ecr", &format!("repository/{name}"))]),
            Statement::anywhere("RegistryPassword", ["ecr:GetAuthorizationToken"], why),
        ]
    }

    /// What CloudFormation does for the template's resources.
    fn on(&self, on: On, actions: BTreeSet<&'static str>) -> Statement {
        let own = |service: &str, before: &str, after: &str| {
            vec![self.arn(service, &format!("{before}{}*{after}", self.prefix()))]
        };
        let of_functions = || {
            let function = self.arn("lambda", &format!("function:{}*", self.prefix()));
            Some(json!({ "ArnLike": { "lambda:FunctionArn": function } }))
        };
        let mappings = || vec![self.arn("lambda", "event-source-mapping:*")];
        let allow = |sid, resources| Statement::allow(sid, actions.iter().copied(), resources);
        let anywhere = |sid, why| Statement::anywhere(sid, actions.iter().copied(), why);
        match on {
            On::Alarms => allow("Alarms", own("cloudwatch", "alarm:", "")),
            On::Applications => allow("Applications", own("codedeploy", "application:", "")),
            On::BoundRoles => {
                let within = Boundary::of(self);
                let within = within.map(|within| json!({ "StringEquals": { "iam:PermissionsBoundary": within.arn } }));
                allow("BoundRoles", vec![self.role()]).under(within)
            }
            On::Buckets => allow("Buckets", self.buckets()),
            On::DeploymentConfigs => allow("DeploymentConfigs", vec![self.arn("codedeploy", "deploymentconfig:*")])
                .because("AWS's own ways of shifting traffic are read; there is nothing to write"),
            On::DeploymentGroups => allow("DeploymentGroups", own("codedeploy", "deploymentgroup:", "/*")),
            On::Functions => allow("Functions", own("lambda", "function:", "")),
            On::HttpApis => {
                let paths = ["apis", "apis/*", "tags/*"]
                    .map(|path| sub(&format!("arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}::/{path}")));
                allow("HttpApis", paths.into())
                    .because("AWS chooses an API's id, so that none can be named before it is there")
            }
            On::LogDeliveries => {
                anywhere("LogDeliveries", "access logs of an API are a log delivery, which AWS ties to no resource")
            }
            On::LogGroups => allow("LogGroups", own("logs", "log-group:", "")),
            On::LogGroupLists => {
                anywhere("LogGroupLists", "a group is found by listing groups, which AWS ties to none")
            }
            On::Mappings => allow("Mappings", mappings())
                .under(of_functions())
                .because("AWS chooses a mapping's id; the condition keeps to those of the stack's functions"),
            On::NewMappings => anywhere(
                "NewMappings",
                "a mapping has no ARN before it is there; the condition keeps to those of the stack's functions",
            )
            .under(of_functions()),
            On::MappingTags => allow("MappingTags", mappings())
                .because("AWS chooses a mapping's id, and a request for its tags does not name its function"),
            On::Queues => allow("Queues", own("sqs", "", "")),
            On::Roles => allow("Roles", vec![self.role()]),
            On::Schedules => allow("Schedules", own("scheduler", "schedule/default/", "")),
            On::Secrets => allow("Secrets", self.secrets()),
            On::Stored => {
                // Secrets may lie beside them, whose values are nobody's to read.
                let below = ["parts/*", "release", "resources/*"];
                let below = below.map(|below| self.arn("ssm", &format!("parameter/updraft/{}/{below}", self.stack)));
                allow("Stored", below.into())
            }
            On::Subscriptions => {
                anywhere("Subscriptions", "AWS ties what is done with a subscription that is there to no topic")
            }
            On::Tables => allow("Tables", own("dynamodb", "table/", "")),
            On::Topics => allow("Topics", own("sns", "", "")),
        }
    }
}
