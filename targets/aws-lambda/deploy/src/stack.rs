//! A stack from where it stands to where it should be: settle, upload, propose, execute. Each step may be the last of one run
//! and the first of the next.

use crate::client::{Account, Client};
use crate::cloudformation::{Change, CloudFormation, NewChangeSet, SetName, Stack};
use crate::code::Code;
use crate::error::{Error, LARGEST_TEMPLATE, Result};
use crate::follow::{News, Outcome, follow};
use crate::parts::{APPLICATION, PART_TAG, Part, hashes};
use crate::plan::{Plan, is_stateful};
use crate::s3::Bucket;
use crate::{TAG, between, bucket, code};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use updraft_model::App;

/// What our change sets' names begin with.
const PREFIX: &str = "updraft-";
/// Between two looks at a change set that is being made.
const PAUSE: Duration = Duration::from_millis(300);

/// Where is deployed to: an account, a region, a stack and a bucket.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who asks.
    pub account: Account,
    /// The application's name.
    pub app: String,
    /// The stack's name.
    pub stack: String,
    /// The code bucket's name.
    pub bucket: String,
    /// The main stack, of a part's.
    pub(crate) main: Option<String>,
    pub(crate) client: Arc<Client>,
}

/// Connects to the account that the environment tells of.
///
/// # Errors
/// Without region or credentials, or if AWS does not know them.
pub async fn connect(app: &str, stack: &str, code_bucket: Option<&str>) -> Result<Target> {
    let client = Client::from_environment().await?;
    let account = client.account().await?;
    let bucket = code_bucket.map_or_else(|| bucket::default_name(&account.id, &client), str::to_owned);
    let (app, stack, client) = (app.to_owned(), stack.to_owned(), Arc::new(client));
    Ok(Target { account, app, stack, bucket, main: None, client })
}

/// Templates as they are written.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    /// The main stack's.
    pub main: Bytes,
    /// Those of parts, by their names.
    pub parts: BTreeMap<String, Bytes>,
}

/// What is deployed: a template, and where it and the code are.
#[derive(Clone, Debug)]
pub struct Release {
    /// The template, parsed.
    pub template: Value,
    /// Its key in the bucket.
    pub template_key: String,
    /// The code's there, or its image's address.
    pub code_key: String,
    /// Twelve hex digits that are another's if template or code are.
    pub version: String,
    /// What is deployed beside it, as stacks of their own.
    pub parts: Vec<Part>,
}

/// What is live.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The template that the stack was made from.
    pub template: Value,
    /// Its version.
    pub version: String,
    /// Whether its deployment has not come to its end: functions of it and of the version before are there.
    pub is_between: bool,
}

/// How a stack stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// There is none, or but a change set that would make it.
    Absent,
    /// It is there, at rest, and may be changed.
    Ready(Box<Stack>),
}

/// What becomes of a stack whose first deployment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clear {
    /// It is an error.
    Nothing,
    /// It is deleted.
    Failed {
        /// Even where that deletes what keeps data.
        allow_replacement: bool,
    },
}

/// A change set, waiting to be executed.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What it changes.
    pub plan: Plan,
    set: Proposed,
}

/// A change set's names.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    stack: String,
    create: bool,
    name: String,
}

impl Proposed {
    fn set(&self) -> SetName<'_> {
        SetName { stack: &self.stack, name: &self.name }
    }
}

impl Target {
    /// `eu-central-1`.
    pub fn region(&self) -> &str {
        self.client.region()
    }

    pub(crate) fn cloud(&self) -> CloudFormation<'_> {
        CloudFormation(&self.client)
    }

    pub(crate) fn storage(&self) -> Bucket<'_> {
        let partition = self.account.arn.split(':').nth(1).unwrap_or("aws");
        Bucket { client: &self.client, name: &self.bucket, owner: &self.account.id, partition }
    }

    /// The stack as it is; `None` if there is none. One of someone else's is an error, unless it is adopted.
    ///
    /// # Errors
    /// AWS's, and [`Error::ForeignStack`].
    pub async fn stack(&self, adopt: bool) -> Result<Option<Stack>> {
        let Some(stack) = self.cloud().stack(&self.stack).await? else { return Ok(None) };
        let app = stack.tag(TAG).map(str::to_owned);
        // One that is not made yet has no tags: its change sets tell whose it is.
        let mine = app.as_deref() == Some(&self.app) && stack.tag(PART_TAG) == self.main.as_deref();
        let ours = mine || (stack.is_review() && self.is_proposed(&stack).await?);
        match &self.main {
            _ if ours => Ok(Some(stack)),
            Some(main) => Err(Error::InTheWay { stack: stack.name, main: main.clone() }),
            None if adopt => Ok(Some(stack)),
            None => Err(Error::ForeignStack { stack: stack.name, app }),
        }
    }

    async fn is_proposed(&self, stack: &Stack) -> Result<bool> {
        let sets = self.cloud().change_sets(&stack.id).await?;
        Ok(sets.iter().all(|(name, _)| name.starts_with(PREFIX)))
    }

    /// Brings the stack to rest in a state that it can be changed from: waits for what is under way, clears what a first
    /// deployment left that failed, deletes change sets of ours that nobody executed in an hour.
    ///
    /// # Errors
    /// AWS's; a stack of someone else's; one that can't be changed.
    pub async fn settle(&self, adopt: bool, clear: Clear, tell: &mut dyn FnMut(News<'_>)) -> Result<Standing> {
        loop {
            let Some(stack) = self.stack(adopt).await? else { return Ok(Standing::Absent) };
            match stack.status.as_str() {
                _ if stack.is_busy() => {
                    self.wait(&stack, tell).await?;
                }
                "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => self.clear(&stack, clear, tell).await?,
                "UPDATE_ROLLBACK_FAILED" => return Err(half_back(&stack)),
                "DELETE_FAILED" if self.main.is_some() => {
                    // What is left of a part that was to go, and is to be there again.
                    self.is_clearable(&stack).await?;
                    self.clear(&stack, clear, tell).await?;
                }
                "DELETE_FAILED" => return Err(stuck(&stack, AGAIN)),
                _ => {
                    for (name, made) in self.cloud().change_sets(&stack.id).await? {
                        if name.starts_with(PREFIX) && made.is_some_and(|made| is_left(made, Timestamp::now())) {
                            let set = SetName { stack: &stack.name, name: &name };
                            self.cloud().delete_change_set(set).await?;
                            tell(News::Leftover(&name));
                        }
                    }
                    return Ok(if stack.is_review() { Standing::Absent } else { Standing::Ready(Box::new(stack)) });
                }
            }
        }
    }

    /// Nothing keeps anything in a part that was deleted half.
    pub(crate) async fn is_clearable(&self, stack: &Stack) -> Result<()> {
        let keeps = self.leaving(stack).await?.iter().any(|one| is_stateful(&one.kind));
        if keeps { Err(stuck(stack, HALF_GONE)) } else { Ok(()) }
    }

    /// Deletes a stack that can't be updated because its first deployment failed. One of ours that went back has nothing in
    /// it; of any other, what has data in it is not deleted without being asked about.
    async fn clear(&self, stack: &Stack, clear: Clear, tell: &mut dyn FnMut(News<'_>)) -> Result<()> {
        let Clear::Failed { allow_replacement } = clear else { return Err(stuck(stack, NEVER)) };
        let ours = stack.tag(TAG) == Some(&self.app);
        let leaving =
            if ours && stack.status == "ROLLBACK_COMPLETE" { Vec::new() } else { self.leaving(stack).await? };
        let lost = leaving.iter().filter(|one| !one.stays && is_stateful(&one.kind));
        let resources: Vec<String> = lost.map(|one| format!("{} {}", one.kind, one.physical)).collect();
        if !resources.is_empty() && !allow_replacement {
            let (stack, status) = (stack.name.clone(), stack.status.clone());
            return Err(Error::WouldClear { stack, status, resources, is_part: self.main.is_some() });
        }
        tell(News::Clearing(stack, &leaving));
        match self.delete(stack, tell).await? {
            outcome if outcome.is_success() => Ok(()),
            outcome => Err(stuck(&outcome.stack.unwrap_or_else(|| stack.clone()), UNCLEARED)),
        }
    }

    pub(crate) async fn delete(&self, stack: &Stack, tell: &mut dyn FnMut(News<'_>)) -> Result<Outcome> {
        let newest = self.cloud().newest_event(&stack.id).await?;
        begun(self.cloud().delete_stack(&stack.id, &token("delete")).await, tell)?;
        follow(self.cloud(), &stack.id, newest, true, tell).await
    }

    /// How the stack stands, without a finger on it.
    ///
    /// # Errors
    /// AWS's; a stack of someone else's; one that can't be changed now.
    pub async fn standing(&self, adopt: bool) -> Result<Standing> {
        let Some(stack) = self.stack(adopt).await? else { return Ok(Standing::Absent) };
        match stack.status.as_str() {
            "REVIEW_IN_PROGRESS" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => Ok(Standing::Absent),
            "UPDATE_ROLLBACK_FAILED" => Err(half_back(&stack)),
            "DELETE_FAILED" => Err(stuck(&stack, AGAIN)),
            _ if stack.is_busy() => Err(Error::Busy { stack: stack.name, status: stack.status }),
            _ => Ok(Standing::Ready(Box::new(stack))),
        }
    }

    /// Goes on with going back from an update that failed.
    ///
    /// # Errors
    /// AWS's.
    pub async fn continue_rollback(&self, stack: &Stack, tell: &mut dyn FnMut(News<'_>)) -> Result<Outcome> {
        let newest = self.cloud().newest_event(&stack.id).await?;
        begun(self.cloud().continue_rollback(&stack.id, &token("continue")).await, tell)?;
        follow(self.cloud(), &stack.id, newest, true, tell).await
    }

    /// Puts the templates into the bucket, and the code where it is to be if there is to be some, unless they are there.
    ///
    /// # Errors
    /// AWS's; a bucket of someone else's; a repository that there is not; a template that is too large.
    pub async fn upload(
        &self,
        release: &Release,
        templates: &Templates,
        code: Option<Code>,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<()> {
        // Before anything is put anywhere.
        for text in templates.parts.values().chain([&templates.main]) {
            fits(text.len())?;
        }
        bucket::ensure(&self.storage(), tell).await?;
        if let Some(code) = code {
            self.put(&release.code_key, code, tell).await?;
        }
        for part in &release.parts {
            let text = templates.parts.get(&part.name).cloned().unwrap_or_default();
            self.put_template(&part.template_key, text, tell).await?;
        }
        self.put_template(&release.template_key, templates.main.clone(), tell).await
    }

    pub(crate) async fn put_template(&self, key: &str, text: Bytes, tell: &mut dyn FnMut(News<'_>)) -> Result<()> {
        fits(text.len())?;
        bucket::put(&self.storage(), ("template", key, "application/json"), text, tell).await
    }

    /// What templates and code are called where they are put.
    ///
    /// # Errors
    /// If a template is no JSON, or not the one that the main one names.
    pub fn release(&self, code: &Code, templates: &Templates) -> Result<Release> {
        let wrong = |why: &dyn std::fmt::Display| Error::ChangeSet { reason: format!("the template {why}") };
        let parsed = |text: &Bytes| {
            serde_json::from_slice::<Value>(text).map_err(|error| wrong(&format_args!("is no JSON: {error}")))
        };
        let template = parsed(&templates.main)?;
        let mut parts = Vec::new();
        for (name, hash) in hashes(&template) {
            let text = templates.parts.get(&name).ok_or_else(|| wrong(&format_args!("of {name} is missing")))?;
            parts.push(Part { template: parsed(text)?, template_key: self.part_key(&hash), name });
        }
        let code_key = self.place(code);
        let version = version(&template, &code_key);
        let template_key = self.template_key(&templates.main);
        Ok(Release { template, template_key, code_key, version, parts })
    }

    /// A main template's key.
    pub(crate) fn template_key(&self, text: &[u8]) -> String {
        format!("{}/{}.json", self.app, hex(&Sha256::digest(text)))
    }

    /// What is live: the template that the stack was made from, and its version.
    ///
    /// # Errors
    /// AWS's.
    pub async fn live(&self, stack: &Stack, parameters: [&str; 3]) -> Result<Live> {
        let template: Value = serde_json::from_str(&self.cloud().template(&stack.id).await?).unwrap_or_default();
        let version = between::version(&template, code::live(stack, parameters));
        Ok(Live { is_between: between::towards(&template).is_some(), template, version })
    }

    /// What is given to a template: the code, where resources of other stacks are told of, and `None` for what it was given
    /// before. What has a value of its own is given none.
    fn given(&self, release: &Release, parameters: [&str; 3]) -> Vec<(String, Option<String>)> {
        let main = self.main.as_ref().unwrap_or(&self.stack);
        let code: BTreeMap<String, String> =
            code::told(parameters, &self.bucket, &release.code_key).into_iter().collect();
        let asked = release.template["Parameters"].as_object().into_iter().flatten();
        let value = |(name, parameter): (&String, &Value)| {
            let default = parameter["Default"].as_str();
            let stored = parameter["Type"].as_str().is_some_and(|kind| kind.starts_with("AWS::SSM::"));
            let value = match (code.get(name), default) {
                (Some(code), _) => Some(code.clone()),
                (None, Some(default)) if stored => Some(format!("/updraft/{main}/{}", between::below(default)?)),
                (None, _) if name == APPLICATION => Some(main.clone()),
                (None, Some(_)) => return None,
                (None, None) => None,
            };
            Some((name.clone(), value))
        };
        asked.filter_map(value).collect()
    }

    /// A change set that leads to a release; `None` if it changes nothing. `parameters` are the names of those that say
    /// where code is: a zip's bucket and key, an image.
    ///
    /// # Errors
    /// AWS's; what CloudFormation finds wrong with the template.
    pub async fn propose(
        &self,
        standing: &Standing,
        release: &Release,
        parameters: [&str; 3],
        apps: (Option<&App>, &App),
    ) -> Result<Option<Proposal>> {
        let old = match standing {
            Standing::Absent => None,
            Standing::Ready(stack) => Some(self.live(stack, parameters).await?.template),
        };
        let Some((set, changes)) = self.propose_changes(standing, release, parameters).await? else { return Ok(None) };
        let plan = Plan::new(&changes, old.as_ref(), &release.template, apps);
        Ok(Some(Proposal { plan, set }))
    }

    /// The same, without an eye on the application.
    pub(crate) async fn propose_changes(
        &self,
        standing: &Standing,
        release: &Release,
        parameters: [&str; 3],
    ) -> Result<Option<(Proposed, Vec<Change>)>> {
        let create = matches!(standing, Standing::Absent);
        let parameters = self.given(release, parameters);
        let mut tags = vec![(TAG.to_owned(), self.app.clone())];
        tags.extend(self.main.iter().map(|main| (PART_TAG.to_owned(), main.clone())));
        let name = token(&release.version);
        let set = SetName { stack: &self.stack, name: &name };
        self.cloud()
            .create_change_set(&NewChangeSet {
                stack: &self.stack,
                name: &name,
                create,
                template_url: &self.storage().url(&release.template_key),
                parameters: &parameters,
                tags: &tags,
                description: &format!("version {}", release.version),
            })
            .await?;
        let made = loop {
            let made = self.cloud().change_set(set).await?;
            if !made.status.ends_with("_IN_PROGRESS") && !made.status.ends_with("_PENDING") {
                break made;
            }
            tokio::time::sleep(PAUSE).await;
        };
        if made.status == "FAILED" {
            let found = self.cloud().findings(&set.fields()).await;
            self.cloud().delete_change_set(set).await?;
            let nothing = ["didn't contain changes", "No updates are to be performed"];
            if nothing.iter().any(|words| made.reason.contains(words)) {
                return Ok(None);
            }
            self.clear_review().await?;
            let found = found.iter().map(|found| format!("\n{} ({}): {}", found.logical, found.kind, found.reason));
            let of = self.main.as_ref().map(|_| format!("the stack {}: ", self.stack)).unwrap_or_default();
            return Err(Error::ChangeSet { reason: found.fold(of + &made.reason, |all, one| all + &one) });
        }
        Ok(Some((Proposed { stack: self.stack.clone(), create, name }, made.changes)))
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// AWS's.
    pub async fn discard(&self, proposal: &Proposal) -> Result<()> {
        self.cloud().delete_change_set(proposal.set.set()).await?;
        self.clear_review().await
    }

    /// Deletes the stack if there is nothing to it but that it was proposed.
    async fn clear_review(&self) -> Result<()> {
        let Some(stack) = self.cloud().stack(&self.stack).await?.filter(Stack::is_review) else { return Ok(()) };
        let proposed = !self.cloud().change_sets(&stack.id).await?.is_empty();
        // Its state last: another run's change set is gone from the list once it is executed.
        match self.cloud().stack(&stack.id).await? {
            Some(stack) if stack.is_review() && !proposed => {
                self.cloud().delete_stack(&stack.id, &token("review")).await
            }
            _ => Ok(()),
        }
    }

    /// Makes the changes, and follows them to their end.
    ///
    /// # Errors
    /// AWS's. What fails in the stack is an [`Outcome`].
    pub async fn execute(&self, proposal: &Proposal, tell: &mut dyn FnMut(News<'_>)) -> Result<Outcome> {
        self.execute_changes(&proposal.set, tell).await
    }

    pub(crate) async fn execute_changes(&self, proposal: &Proposed, tell: &mut dyn FnMut(News<'_>)) -> Result<Outcome> {
        let cloud = self.cloud();
        let id = cloud.stack(&proposal.stack).await?.map(|stack| stack.id);
        let id =
            id.ok_or_else(|| Error::NoStack { stack: proposal.stack.clone(), region: self.region().to_owned() })?;
        let newest = cloud.newest_event(&id).await?;
        begun(cloud.execute_change_set(proposal.set(), proposal.create).await, tell)?;
        let mut outcome = follow(cloud, &id, newest, true, tell).await?;
        if outcome.stack.is_none() || !outcome.is_success() {
            // What is refused before anything is touched comes first.
            let found = cloud.findings(&[("StackName", &*id)]).await;
            outcome.events.splice(..0, found);
        }
        Ok(outcome)
    }
}

/// Whether CloudFormation reads a template of so many bytes.
pub(crate) fn fits(bytes: usize) -> Result<()> {
    if bytes > LARGEST_TEMPLATE { Err(Error::TemplateTooLarge { bytes }) } else { Ok(()) }
}

/// Tells of an operation that may have begun though nobody said so.
fn begun(asked: Result<()>, tell: &mut dyn FnMut(News<'_>)) -> Result<()> {
    if asked.as_ref().is_err_and(Error::is_unanswered) {
        tell(News::Begun);
    }
    asked
}

const NEVER: &str = "Its first deployment failed, so that there is no version to go back to. `cargo updraft deploy --target aws-lambda` \
                     makes it anew";
const GO_ON: &str = "An update failed, and so did going back. Remove what is in the way (the stack's events say what), then `cargo \
                     updraft rollback --target aws-lambda` goes on with it";
const HALF_GONE: &str = "It was to go, and something in it could not be deleted (the stack's events say what). What it keeps stays in the \
                         account: once the stack is deleted, `cargo updraft deploy --target aws-lambda` makes it anew";
const UNCLEARED: &str = "It was to be deleted and made anew, and something in it could not be deleted (the stack's events say what). Once that is \
                         out of the way, the same command again goes on from there";
const AGAIN: &str = "Something in it could not be deleted (the stack's events say what). `cargo updraft remove --target aws-lambda` \
                     tries again";

/// Of a stack whose update failed, and going back from it, too.
pub(crate) fn half_back(stack: &Stack) -> Error {
    stuck(stack, GO_ON)
}

fn stuck(stack: &Stack, help: &str) -> Error {
    Error::Stuck { stack: stack.name.clone(), status: stack.status.clone(), help: help.to_owned() }
}

/// Twelve hex digits that are another's if template or code are.
pub(crate) fn version(template: &Value, code_key: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(sorted(template).to_string());
    hash.update([0]);
    hash.update(code_key);
    hex(&hash.finalize())[..12].to_owned()
}

/// With keys in their order, whatever order serde_json was built to keep.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether nobody is asked any more about a change set that was made then.
fn is_left(made: Timestamp, now: Timestamp) -> bool {
    now.duration_since(made) > SignedDuration::from_hours(1)
}

/// A name that no other run gives.
fn token(what: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{PREFIX}{what}-{:x}-{:x}", now.as_micros(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One that is refused leaves no code behind, nor other templates.
    #[tokio::test]
    async fn a_template_is_measured_before_anything_is_uploaded() {
        use crate::client::played::{serve, target};
        let target = target(&serve(|asked| panic!("{asked:?}")));
        let code = || Code::Zip { bytes: Bytes::from_static(b"zip"), sha256: "00".to_owned() };
        let long = Bytes::from(format!("{{\"Description\": \"{}\"}}", "x".repeat(LARGEST_TEMPLATE)));
        let main = json!({ "Metadata": { "updraft": { "parts": { "shop-orders": "0a" } } } }).to_string();
        let parts = BTreeMap::from([("shop-orders".to_owned(), long.clone())]);
        let cases = [Templates { main: main.into(), parts }, Templates { main: long, parts: BTreeMap::new() }];
        for templates in cases {
            let release = target.release(&code(), &templates).unwrap();
            let refused = target.upload(&release, &templates, Some(code()), &mut |news| panic!("{news:?}")).await;
            assert!(
                matches!(refused, Err(Error::TemplateTooLarge { bytes }) if bytes > LARGEST_TEMPLATE),
                "{refused:?}"
            );
        }
    }

    /// Somebody may be reading what a change set would do, and one made by a clock ahead of ours is new.
    #[test]
    fn a_change_set_is_left_after_an_hour() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        assert!(!is_left(at(0), at(59)) && !is_left(at(5), at(0)));
        assert!(is_left(at(0), at(61)));
    }

    #[test]
    fn a_version_is_of_what_is_deployed() {
        let one = version(&json!({ "a": 1, "b": 2 }), "shop/1.zip");
        assert_eq!(one, version(&serde_json::from_str("{\"b\": 2,\n \"a\": 1}").unwrap(), "shop/1.zip"));
        assert_ne!(one, version(&json!({ "a": 1, "b": 2 }), "shop/2.zip"));
        assert_ne!(one, version(&json!({ "a": 1, "b": 3 }), "shop/1.zip"));
        assert_eq!(one.len(), 12);
    }
}
