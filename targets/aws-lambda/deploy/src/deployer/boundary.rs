//! What the application's roles may allow at most: whoever writes their policies can give them no more.

use super::{Deployer, sub};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use updraft_wire::aws::actions::{LOGS, NETWORK, PARAMETER_READ, TRACES};
use updraft_wire::aws::{Known, PARAMETERS, Use, actions};

/// What a policy's ARN says before its name.
const POLICY: &str = "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/";

/// The boundary that templates set on their roles: its ARN, and its name if it is one that the deployer's template makes.
pub(super) struct Boundary {
    pub(super) arn: Value,
    pub(super) name: Option<String>,
}

impl Boundary {
    /// Of all roles, whichever stack they are in; `None` if one has none.
    pub(super) fn of(deployer: &Deployer<'_>) -> Option<Self> {
        let mut roles = deployer.of_type("AWS::IAM::Role");
        let arn = roles.next()?.1["Properties"]["PermissionsBoundary"].clone();
        let same = |(_, role): (&String, &Value)| role["Properties"]["PermissionsBoundary"] == arn;
        if arn.is_null() || !roles.all(same) {
            return None;
        }
        let name = arn["Fn::Sub"].as_str().and_then(|text| text.strip_prefix(POLICY)).map(str::to_owned);
        Some(Boundary { arn, name })
    }
}

impl Deployer<'_> {
    /// The boundary's statements: all that any role of Updraft's may do, on what is the stack's.
    ///
    /// # Errors
    /// With the action that nobody said the resources of: a bug of ours.
    pub(super) fn at_most(&self) -> Result<Vec<Value>, String> {
        const USES: [Use; 5] = [Use::Read, Use::Write, Use::Order, Use::Call, Use::Consume];
        let used = Known::ALL.iter().flat_map(|known| USES.iter().flat_map(|used| actions(*known, *used)));
        let functions = used.chain(PARAMETER_READ).chain(LOGS).chain(TRACES).chain(NETWORK).map(|action| action.name);
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut add = |action: &str| {
            let service = action.split(':').next().unwrap_or_default();
            all.entry(service.to_owned()).or_default().insert(action.to_owned());
        };
        functions.for_each(&mut add);
        // What other services do for the stack: what moves its aliases, and sends its ticks.
        for (_, role) in self.of_type("AWS::IAM::Role") {
            let policies = role["Properties"]["Policies"].as_array().into_iter().flatten();
            let statements = policies.flat_map(|one| one["PolicyDocument"]["Statement"].as_array()).flatten();
            let actions = statements.flat_map(|one| one["Action"].as_array()).flatten();
            actions.filter_map(Value::as_str).for_each(&mut add);
        }
        let mut statements = Vec::new();
        for (service, actions) in all {
            let resources = self.reach(&service).ok_or_else(|| format!("{service}:…"))?;
            if !resources.is_empty() {
                let sid: String = service.chars().filter(char::is_ascii_alphanumeric).collect();
                statements.push(json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources }));
            }
        }
        Ok(statements)
    }

    /// What of a service's is the stack's.
    fn reach(&self, service: &str) -> Option<Vec<Value>> {
        let own = |before: &str| vec![self.arn(service, &format!("{before}{}*", self.prefix()))];
        Some(match service {
            "cloudwatch" => own("alarm:"),
            "dynamodb" => own("table/"),
            "lambda" => own("function:"),
            "logs" => own("log-group:"),
            "sns" | "sqs" => own(""),
            "s3" => {
                let buckets = self.buckets();
                let objects =
                    buckets.iter().filter_map(|bucket| Some(sub(&format!("{}/*", bucket["Fn::Sub"].as_str()?))));
                let objects: Vec<Value> = objects.collect();
                [buckets, objects].concat()
            }
            "secretsmanager" => self.secrets(),
            "ssm" => vec![self.arn("ssm", &format!("parameter{PARAMETERS}{}/*", self.stack))],
            // Neither has an ARN for what is done: see the roles' own statements.
            "ec2" | "xray" => vec!["*".into()],
            _ => return None,
        })
    }
}
