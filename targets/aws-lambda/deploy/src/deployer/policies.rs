//! The role's policies: IAM takes so many characters of each (AWS, "IAM and AWS STS quotas"). What stands in the role is most
//! often enough; what an application has many of, stacks, buckets and secrets, may need policies of its own beside it.

use super::statements::Statement;
use serde_json::{Value, json};
use std::fmt;

/// The policies that stand in a role together, in characters that are no white space.
const IN_THE_ROLE: usize = 10_240;
/// One that is attached to a role, or that bounds one.
const BESIDE_IT: usize = 6_144;
/// How many may be attached, unless the account's quota is another.
const MOST: usize = 10;

/// Why there is no role for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRole {
    /// Nobody said which rights this takes: a bug of ours.
    Unknown(String),
    /// It would have more policies than IAM lets a role have.
    TooMuch,
    /// What the application's roles may do at most is more than one policy says.
    TooWide {
        /// The policy's name.
        name: String,
        /// How long it would be.
        characters: usize,
    },
}

impl fmt::Display for NoRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRole::Unknown(what) => {
                write!(f, "nobody said which rights {what} takes: that is a bug of updraft's")
            }
            NoRole::TooMuch => write!(
                f,
                "the role would need more than IAM gives one: {IN_THE_ROLE} characters in it, and {MOST} policies of {BESIDE_IT} beside it\n\n\
                 Deploy some of the application's buckets and secrets as an application of their own"
            ),
            NoRole::TooWide { name, characters } => write!(
                f,
                "the policy {name}, beyond which the application's functions get no rights, would have {characters} characters, and IAM \
                 takes {BESIDE_IT}: it names the application's buckets and secrets\n\n\
                 Write a policy that names them by what their names begin with, and give its ARN as `permissions_boundary`"
            ),
        }
    }
}

/// A policy's document.
pub(super) fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// As IAM counts them, or a few more: what CloudFormation puts into a text is no longer than its name there.
pub(super) fn characters(policy: &Value) -> usize {
    fn completed(value: &Value) -> Value {
        match value {
            Value::Object(map) => match map.get("Fn::Sub") {
                Some(text) => text.clone(),
                None => map.iter().map(|(name, value)| (name.clone(), completed(value))).collect(),
            },
            Value::Array(items) => items.iter().map(completed).collect(),
            other => other.clone(),
        }
    }
    completed(policy).to_string().chars().filter(|c| !c.is_whitespace()).count()
}

/// The documents: of the role's own policy, and of those beside it.
pub(super) fn share_out(statements: Vec<Statement>) -> Result<(Value, Vec<Value>), NoRole> {
    let all: Vec<Value> = statements.into_iter().map(|statement| statement.document).collect();
    let whole = document(&all);
    if characters(&whole) <= IN_THE_ROLE {
        return Ok((whole, Vec::new()));
    }
    let mut shared: Vec<Vec<Value>> = vec![Vec::new()];
    for piece in all.into_iter().flat_map(pieces) {
        let room = |at: usize| if at == 0 { IN_THE_ROLE } else { BESIDE_IT };
        let fits = |at: usize, there: &[Value]| {
            characters(&document(&[there, std::slice::from_ref(&piece)].concat())) <= room(at)
        };
        match shared.iter().enumerate().position(|(at, there)| fits(at, there)) {
            Some(at) => shared[at].push(piece),
            None if shared.len() <= MOST => shared.push(vec![piece]),
            None => return Err(NoRole::TooMuch),
        }
    }
    let mut documents = shared.iter().map(|statements| document(statements));
    let own = documents.next().unwrap_or_default();
    Ok((own, documents.collect()))
}

/// A statement that any policy holds: itself, or several that say the same of some of its resources each.
fn pieces(statement: Value) -> Vec<Value> {
    let is_held = |statement: &Value| characters(&document(std::slice::from_ref(statement))) <= BESIDE_IT;
    let resources = statement["Resource"].as_array().cloned().unwrap_or_default();
    if is_held(&statement) || resources.len() < 2 {
        return vec![statement];
    }
    let sid = statement["Sid"].as_str().unwrap_or_default().to_owned();
    let of = |number: usize, resources: &[Value]| {
        let mut piece = statement.clone();
        piece["Resource"] = resources.into();
        if number > 0 {
            piece["Sid"] = format!("{sid}{}", number + 1).into();
        }
        piece
    };
    let (mut pieces, mut some): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for resource in resources {
        some.push(resource);
        if !is_held(&of(pieces.len(), &some)) && some.len() > 1 {
            let next = some.split_off(some.len() - 1);
            pieces.push(of(pieces.len(), &some));
            some = next;
        }
    }
    pieces.push(of(pieces.len(), &some));
    pieces
}

/// Refuses a boundary that IAM would not take.
pub(super) fn bounds(name: &str, policy: Value) -> Result<Value, NoRole> {
    let characters = characters(&policy);
    if characters > BESIDE_IT { Err(NoRole::TooWide { name: name.to_owned(), characters }) } else { Ok(policy) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn statement(sid: &'static str, resources: usize) -> Statement {
        let resource = |at: usize| json!({ "Fn::Sub": format!("arn:${{AWS::Partition}}:s3:::{sid}-{at:03}-with-a-name-of-some-length*") });
        let resources: Vec<Value> = (0..resources).map(resource).collect();
        let document = json!({ "Sid": sid, "Effect": "Allow", "Action": ["s3:CreateBucket"], "Resource": resources });
        Statement { sid, document, why: None }
    }

    /// What is allowed on what, whichever statement says so.
    fn allowed(documents: &[Value]) -> BTreeSet<(String, String)> {
        let statements = documents.iter().flat_map(|document| document["Statement"].as_array().unwrap());
        let of = |statement: &Value| {
            let all = |name: &str| statement[name].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>();
            let on = all("Resource");
            all("Action")
                .into_iter()
                .flat_map(|action| on.clone().into_iter().map(move |on| (action.clone(), on)))
                .collect::<Vec<_>>()
        };
        statements.flat_map(of).collect()
    }

    #[test]
    fn a_policy_is_as_long_as_what_iam_reads() {
        let policy = json!({ "Action": ["iam:GetRole"], "Resource": [{ "Fn::Sub": "arn:${AWS::Partition}:iam" }] });
        assert_eq!(characters(&policy), r#"{"Action":["iam:GetRole"],"Resource":["arn:${AWS::Partition}:iam"]}"#.len());
    }

    #[test]
    fn what_the_role_holds_is_in_it() {
        let (own, beside) = share_out(vec![statement("a", 60), statement("b", 60)]).unwrap();
        assert_eq!((own["Statement"].as_array().unwrap().len(), beside.len()), (2, 0));
    }

    /// Whatever there is, IAM takes each, and together they allow the same.
    #[test]
    fn what_it_does_not_hold_is_beside_it() {
        for many in [90, 200, 350] {
            let all = || vec![statement("few", 3), statement("a", many), statement("b", many), statement("c", 3)];
            let whole: Vec<Value> = all().into_iter().map(|one| one.document).collect();
            let (own, beside) = share_out(all()).unwrap();
            assert!(characters(&own) <= 10_240 && !beside.is_empty() && beside.len() <= 10, "{many}");
            assert!(beside.iter().all(|policy| characters(policy) <= 6_144), "{many}");
            let documents = [vec![own], beside].concat();
            assert_eq!(allowed(&documents), allowed(&[document(&whole)]));
            for policy in &documents {
                let ids: Vec<&str> =
                    policy["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str().unwrap()).collect();
                assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
            }
        }
        assert_eq!(share_out(vec![statement("a", 1_200)]).unwrap_err(), NoRole::TooMuch);
    }

    #[test]
    fn one_boundary_says_all() {
        let of = |many| document(&[statement("a", many).document]);
        assert_eq!(bounds("shop", of(50)), Ok(of(50)));
        let refused = bounds("shop", of(100)).unwrap_err().to_string();
        assert!(refused.contains("the policy shop") && refused.contains("permissions_boundary"), "{refused}");
    }
}
