//! What can go wrong, and what to do then.

use std::fmt;

/// A result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No credentials, or none that hold.
    Credentials(String),
    /// Nothing says which region.
    NoRegion,
    /// A service did not answer.
    Unreachable {
        /// Its address.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// A service refused.
    Refused(Refusal),
    /// A service answered what nobody can read.
    Unreadable {
        /// `cloudformation:DescribeStacks`.
        action: String,
    },
    /// The bucket is not ours, or not for us.
    ForeignBucket {
        /// Its name.
        bucket: String,
        /// What S3 said.
        reason: String,
    },
    /// There is no repository of the name that the settings say.
    NoRepository {
        /// Its name.
        repository: String,
        /// What ECR said.
        reason: String,
    },
    /// The stack was made by someone else.
    ForeignStack {
        /// Its name.
        stack: String,
        /// The application that it is tagged with, if any.
        app: Option<String>,
    },
    /// The stack is in a state that it can't be changed in.
    Stuck {
        /// Its name.
        stack: String,
        /// `UPDATE_ROLLBACK_FAILED`.
        status: String,
        /// What to do.
        help: String,
    },
    /// A first deployment failed, and what it left has resources in it that would go with their data.
    WouldClear {
        /// The stack's name.
        stack: String,
        /// `CREATE_FAILED`.
        status: String,
        /// Type and name of each.
        resources: Vec<String>,
        /// Whether it is a part of an application.
        is_part: bool,
    },
    /// The change set could not be made.
    ChangeSet {
        /// CloudFormation's reason.
        reason: String,
    },
    /// There is no such stack.
    NoStack {
        /// Its name.
        stack: String,
        /// Where was looked.
        region: String,
    },
    /// What a version was made of is in the bucket no more.
    Gone {
        /// The version.
        version: String,
        /// The bucket or repository.
        bucket: String,
        /// What is missing.
        key: String,
    },
    /// Something is done to the stack just now.
    Busy {
        /// Its name.
        stack: String,
        /// `UPDATE_IN_PROGRESS`.
        status: String,
    },
    /// The search for what was changed by others did not end well.
    Drift {
        /// CloudFormation's words.
        reason: String,
    },
    /// Where a part is to be there is a stack that is none of this application's parts.
    InTheWay {
        /// Its name.
        stack: String,
        /// The main stack's.
        main: String,
    },
    /// A stack can't hold what it is and what it is to be at once, which it has to while others change.
    NoRoom {
        /// Its name.
        stack: String,
        /// `resources` or `parameters`.
        what: String,
        /// How many that would be.
        count: usize,
        /// How many CloudFormation takes.
        most: usize,
    },
    /// Somebody else deploys at the same time.
    Overtaken {
        /// The stack's name.
        stack: String,
    },
    /// The template is larger than CloudFormation takes.
    TemplateTooLarge {
        /// Bytes.
        bytes: usize,
    },
}

/// What a service said no to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `cloudformation:CreateChangeSet`: what a policy calls it.
    pub action: String,
    /// HTTP's.
    pub status: u16,
    /// `AccessDenied`. Empty where the answer has none.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// Whether these credentials may not.
    pub fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "Forbidden")
            || (self.status == 403 && self.code.is_empty())
    }

    /// Whether the credentials themselves are refused.
    pub fn is_of_credentials(&self) -> bool {
        !self.is_of_the_clock()
            && matches!(
                self.code.as_str(),
                "ExpiredToken"
                    | "ExpiredTokenException"
                    | "InvalidAccessKeyId"
                    | "InvalidClientTokenId"
                    | "InvalidToken"
                    | "SignatureDoesNotMatch"
                    | "UnrecognizedClientException"
            )
    }

    /// A signature that was right at another time has the code of one that is wrong.
    fn is_of_the_clock(&self) -> bool {
        matches!(self.code.as_str(), "RequestExpired" | "RequestTimeTooSkewed")
            || ["Signature expired", "Signature not yet current"].iter().any(|words| self.message.starts_with(words))
    }

    /// Whether a change set is gone, or not what it was: executing any other of its stack's takes it away.
    fn is_overtaken(&self) -> bool {
        ["ChangeSetNotFound", "InvalidChangeSetStatus"].iter().any(|code| self.code.starts_with(code))
    }

    /// Whether it may be answered in a minute.
    fn is_passing(&self) -> bool {
        let busy =
            ["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"];
        self.status >= 500 || self.status == 429 || busy.contains(&&*self.code)
    }
}

/// The largest template that CloudFormation reads from a bucket, in bytes (AWS, "CloudFormation quotas").
pub(crate) const LARGEST_TEMPLATE: usize = 1_000_000;

const SIGN_IN: &str = "Sign in (`aws sso login`, `aws configure`), name a profile (AWS_PROFILE), or set AWS_ACCESS_KEY_ID and \
                       AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows who you are";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Credentials(reason) => write!(f, "there are no credentials for AWS: {reason}\n\n{SIGN_IN}"),
            Error::NoRegion => f.write_str(
                "no region of AWS is named\n\nSay which with AWS_REGION, or `region` in the profile (`aws configure set region …`)",
            ),
            Error::Unreachable { endpoint, reason } => write!(
                f,
                "{endpoint} can't be reached: {reason}\n\nCheck the region (AWS_REGION), the network and its proxy (HTTPS_PROXY), \
                 and AWS_ENDPOINT_URL if it is set"
            ),
            Error::Refused(refusal) if refusal.is_of_credentials() => {
                write!(f, "AWS does not take these credentials: {} ({})\n\n{SIGN_IN}", refusal.message, refusal.code)
            }
            Error::Refused(refusal) if refusal.is_of_the_clock() => {
                write!(f, "AWS does not take the request's time: {}\n\nSet this machine's clock", refusal.message)
            }
            Error::Refused(refusal) if refusal.is_denied() => {
                write!(f, "AWS does not let you {}", refusal.action)?;
                if !refusal.message.is_empty() {
                    write!(f, ": {}", refusal.message)?;
                }
                write!(
                    f,
                    "\n\nAllow {} for the role or user that deploys, or use another (AWS_PROFILE). A role that `cargo updraft ci` wrote is for \
                     what the application was then: write and deploy it again",
                    refusal.action
                )
            }
            Error::Refused(refusal) if refusal.is_overtaken() => write!(
                f,
                "another run changed the stack meanwhile: {} ({})\n\nRun this again: it looks first at what is live now",
                refusal.message, refusal.code
            ),
            Error::Refused(refusal) if refusal.code == "LimitExceededException" => write!(
                f,
                "the account is at a limit of AWS's: {}\n\nRemove what is not needed, or ask for more (Service Quotas in the console)",
                refusal.message
            ),
            Error::Refused(Refusal { action, status, code, message }) => {
                write!(f, "{action} was refused: {message}")?;
                if code.is_empty() { write!(f, " (HTTP {status})") } else { write!(f, " ({code})") }
            }
            Error::Unreadable { action } => write!(
                f,
                "the answer to {action} is none of AWS's\n\nIf AWS_ENDPOINT_URL is set, look what listens there; else a proxy may \
                 have answered"
            ),
            Error::ForeignBucket { bucket, reason } => write!(
                f,
                "the code bucket {bucket} is not this account's, or not for you: {reason}\n\nName one that is, `code_bucket = \"…\"` in \
                 `[target.aws-lambda]` of Updraft.toml"
            ),
            Error::NoRepository { repository, reason } => write!(
                f,
                "there is no repository {repository} for the image: {reason}\n\nMake it (`aws ecr create-repository --repository-name {repository} \
                 --image-tag-mutability IMMUTABLE`), or leave `repository` away in `[target.aws-lambda]` of Updraft.toml: then one is made"
            ),
            Error::ForeignStack { stack, app } => {
                match app {
                    Some(app) => write!(f, "the stack {stack} is the application {app}'s")?,
                    None => write!(f, "there is a stack {stack} that Updraft did not make")?,
                }
                f.write_str("\n\nUse another name (--stack NAME, or `stack` in `[target.aws-lambda]`), or take it over with --adopt")
            }
            Error::Stuck { stack, status, help } => write!(f, "the stack {stack} can't be changed: it is {status}\n\n{help}"),
            Error::WouldClear { stack, status, resources, is_part } => write!(
                f,
                "the stack {stack} can't be updated: its first deployment failed, and it is {status}\n\nIt is made anew once it is deleted, \
                 and with it {}. --allow-replacement goes through with it{}",
                resources.join(", "),
                if *is_part { "" } else { "; `cargo updraft remove` asks first" }
            ),
            Error::ChangeSet { reason } => write!(f, "CloudFormation can't make a change set: {reason}"),
            Error::NoStack { stack, region } => write!(
                f,
                "there is no stack {stack} in {region}\n\nCheck the region (AWS_REGION), the account (AWS_PROFILE), --env and --stack"
            ),
            Error::Gone { version, bucket, key } => write!(
                f,
                "version {version} can't be deployed again: {bucket} holds {key} no more\n\nCheck out its source and deploy that, or choose \
                 another version (`cargo updraft status` lists them)"
            ),
            Error::Busy { stack, status } => {
                write!(f, "something is done to the stack {stack} just now: it is {status}\n\nWait for its end; `deploy` does, and goes on")
            }
            Error::Drift { reason } => write!(f, "CloudFormation can't say what was changed behind its back: {reason}"),
            Error::InTheWay { stack, main } => write!(
                f,
                "there is a stack {stack}, which is no part of {main}: but one of its parts would have that name\n\nDeploy by another \
                 name (--stack NAME, or `stack` in `[target.aws-lambda]`), or let the other have another"
            ),
            Error::NoRoom { stack, what, count, most } => write!(
                f,
                "while functions go from one stack to another, {stack} would have {count} {what}, and CloudFormation takes {most}: what \
                 goes has to stay until what comes is there\n\nDeploy some of what is new first, and the rest after it; a lower \
                 `resources_per_stack` in `[target.aws-lambda]` has functions leave earlier"
            ),
            Error::Overtaken { stack } => write!(
                f,
                "somebody else deploys at the same time: the stack {stack} is not what it was a moment ago\n\nIt was left as they have it. \
                 Once the other run has ended, `cargo updraft status` says what is live, and the same command again goes on from there"
            ),
            Error::TemplateTooLarge { bytes } => write!(
                f,
                "the template has {bytes} bytes, and CloudFormation takes {LARGEST_TEMPLATE} at most\n\nPut handlers together, \
                 `[placement] default = \"module\"`"
            ),
        }
    }
}

impl Error {
    /// Whether the same question may be answered in a minute.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Unreadable { .. } => true,
            Error::Refused(refusal) => refusal.is_passing(),
            _ => false,
        }
    }

    /// Whether what was asked for may have been done nevertheless.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Unreadable { .. } => true,
            Error::Refused(refusal) => refusal.status >= 500,
            _ => false,
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, message: &str, status: u16) -> Error {
        let (action, code, message) =
            ("cloudformation:CreateChangeSet".to_owned(), code.to_owned(), message.to_owned());
        Error::Refused(Refusal { action, status, code, message })
    }

    /// Each says what happened, and what to do.
    #[test]
    fn what_people_read() {
        let text = |text: &str| text.to_owned();
        let (stack, status, bucket) =
            (text("shop"), text("UPDATE_ROLLBACK_FAILED"), text("updraft-123456789012-eu-central-1"));
        let key = text("shop/1.zip");
        let errors = [
            Error::Credentials(text("none are configured on this machine")),
            Error::NoRegion,
            Error::Unreachable { endpoint: text("https://sts.eu-central-9.amazonaws.com"), reason: text("dns error") },
            refusal("ExpiredToken", "The security token included in the request is expired", 403),
            refusal(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                403,
            ),
            refusal(
                "SignatureDoesNotMatch",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z (20260101T003000Z - 15 min.)",
                403,
            ),
            refusal("SignatureDoesNotMatch", "The request signature we calculated does not match", 403),
            refusal(
                "AccessDenied",
                "User: arn:aws:iam::1:user/ci is not authorized to perform: cloudformation:CreateChangeSet",
                403,
            ),
            refusal("", "HTTP 403", 403),
            refusal("ChangeSetNotFound", "ChangeSet [updraft-0123456789ab-1-1] does not exist", 404),
            refusal("LimitExceededException", "Limit for stack has been exceeded", 400),
            refusal("ValidationError", "Template format error", 400),
            Error::Unreadable { action: text("cloudformation:DescribeStacks") },
            Error::ForeignBucket { bucket: bucket.clone(), reason: text("s3:ListBucket: HTTP 403") },
            Error::NoRepository { repository: text("team/shop"), reason: text("The repository does not exist") },
            Error::ForeignStack { stack: stack.clone(), app: None },
            Error::ForeignStack { stack: stack.clone(), app: Some(text("blog")) },
            Error::Stuck { stack: stack.clone(), status: status.clone(), help: text("…") },
            Error::Busy { stack: stack.clone(), status },
            Error::WouldClear {
                stack: stack.clone(),
                status: text("CREATE_FAILED"),
                resources: vec![text("AWS::DynamoDB::Table shop-StockTable-1ABC")],
                is_part: false,
            },
            Error::ChangeSet { reason: text("Parameters: [CodeKey] must have values") },
            Error::NoStack { stack, region: text("eu-central-1") },
            Error::Gone { version: text("0123456789ab"), bucket, key },
            Error::InTheWay { stack: text("shop-orders"), main: text("shop") },
            Error::NoRoom { stack: text("shop"), what: text("resources"), count: 512, most: 500 },
            Error::Overtaken { stack: text("shop") },
            Error::Drift { reason: text("Failed to detect drift on resource [A]") },
            Error::TemplateTooLarge { bytes: 1_000_001 },
        ];
        let said = errors.map(|error| format!("{error:?}\n{error}\n"));
        insta::assert_snapshot!(said.join("\n----\n"));
    }
}
