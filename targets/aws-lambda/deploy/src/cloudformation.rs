//! What is asked of CloudFormation.

use crate::client::{Client, Element, Service};
use crate::error::{Error, Result};
use jiff::Timestamp;

const VERSION: &str = "2010-05-15";

/// A stack, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Its ARN, which stays the same while a name may be used again.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `UPDATE_COMPLETE`.
    pub status: String,
    /// Why, where there is a why.
    pub reason: String,
    /// When it was last changed.
    pub changed: String,
    /// Its outputs: key, value, description.
    pub outputs: Vec<(String, String, String)>,
    /// Its parameters.
    pub parameters: Vec<(String, String)>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

impl Stack {
    /// Whether something is done to it now.
    pub fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && !self.is_review()
    }

    /// Whether there is only a change set that would make it.
    pub fn is_review(&self) -> bool {
        self.status == "REVIEW_IN_PROGRESS"
    }

    /// Whether it is what some template says, and not only made or deleted in part.
    pub(crate) fn is_made(&self) -> bool {
        let never = ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"];
        !never.contains(&self.status.as_str()) && !self.status.starts_with("DELETE_")
    }

    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of an output.
    pub fn output(&self, name: &str) -> Option<&str> {
        self.outputs.iter().find(|(key, _, _)| key == name).map(|(_, value, _)| value.as_str())
    }
}

/// What happened to a resource, or to the stack itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Of this event.
    pub id: String,
    /// The stack's name.
    pub stack: String,
    /// The resource's name in the template.
    pub logical: String,
    /// Its own, once it has one.
    pub physical: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// `CREATE_FAILED`.
    pub status: String,
    /// AWS's words.
    pub reason: String,
    /// RFC 3339.
    pub time: String,
}

impl Event {
    /// Whether it is of the stack itself.
    pub fn is_of_stack(&self, id: &str) -> bool {
        self.kind == "AWS::CloudFormation::Stack" && (self.physical == id || self.physical.is_empty())
    }
}

/// What a change set does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes it.
    Add,
    /// Changes it.
    Modify,
    /// Takes it out.
    Remove,
    /// Anything else: imports, and what is decided while it runs.
    Other,
}

/// A resource's part in a change set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// The resource's name in the template.
    pub logical: String,
    /// Its own, if it is there.
    pub physical: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// `True`, `False`, `Conditional` or nothing.
    pub replacement: String,
    /// `Retain`, `Delete`, `ReplaceAndRetain`, … or nothing.
    pub policy: String,
    /// The properties that change, and other attributes (`Tags`), sorted.
    pub changed: Vec<String>,
}

/// A change set, as far as it has come.
#[derive(Clone, Debug)]
pub(crate) struct ChangeSet {
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) changes: Vec<Change>,
}

/// A change set's name. With that of its stack, so that who may do something with the stack may do it with the change set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetName<'a> {
    pub(crate) stack: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> SetName<'a> {
    pub(crate) fn fields(self) -> [(&'static str, &'a str); 2] {
        [("StackName", self.stack), ("ChangeSetName", self.name)]
    }
}

/// What a change set is made of.
#[derive(Clone, Debug)]
pub(crate) struct NewChangeSet<'a> {
    pub(crate) stack: &'a str,
    pub(crate) name: &'a str,
    /// Whether the stack is to be made.
    pub(crate) create: bool,
    pub(crate) template_url: &'a str,
    /// With their values; with the one that each had before, if none is given.
    pub(crate) parameters: &'a [(String, Option<String>)],
    pub(crate) tags: &'a [(String, String)],
    pub(crate) description: &'a str,
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackResource {
    pub(crate) logical: String,
    pub(crate) physical: String,
    pub(crate) kind: String,
    pub(crate) status: String,
}

/// A resource that is not as the template says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Its name in the template.
    pub logical: String,
    /// `AWS::SQS::Queue`.
    pub kind: String,
    /// `MODIFIED` or `DELETED`.
    pub status: String,
    /// Property, what the template says, what it is.
    pub differences: Vec<(String, String, String)>,
}

/// CloudFormation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloudFormation<'a>(pub(crate) &'a Client);

impl CloudFormation<'_> {
    async fn ask(&self, action: &'static str, fields: &[(&str, &str)]) -> Result<Element> {
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.query(Service::CloudFormation, action, VERSION, &fields).await
    }

    /// All pages of a list: the members of `list` in each answer.
    async fn all(&self, action: &'static str, fields: &[(&str, &str)], list: &str) -> Result<Vec<Element>> {
        let mut members = Vec::new();
        let mut token = String::new();
        loop {
            let mut fields = fields.to_vec();
            if !token.is_empty() {
                fields.push(("NextToken", &token));
            }
            let mut answer = self.ask(action, &fields).await?;
            let next = answer.find("NextToken").map(|next| next.text.clone()).unwrap_or_default();
            members.extend(answer.take(list).into_iter().flat_map(|list| list.children));
            if next.is_empty() {
                return Ok(members);
            }
            token = next;
        }
    }

    /// The stack of this name or id; `None` if there is none.
    pub(crate) async fn stack(&self, name: &str) -> Result<Option<Stack>> {
        match self.ask("DescribeStacks", &[("StackName", name)]).await {
            Ok(answer) => Ok(answer.find("Stacks").and_then(|stacks| stacks.children.first()).map(stack)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The template of a stack, as it was given.
    pub(crate) async fn template(&self, stack: &str) -> Result<String> {
        let answer = self.ask("GetTemplate", &[("StackName", stack), ("TemplateStage", "Original")]).await?;
        Ok(answer.find("TemplateBody").map(|body| body.text.clone()).unwrap_or_default())
    }

    pub(crate) async fn create_change_set(&self, new: &NewChangeSet<'_>) -> Result<()> {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut add = |name: String, value: &str| fields.push((name, value.to_owned()));
        add("StackName".to_owned(), new.stack);
        add("ChangeSetName".to_owned(), new.name);
        add("ClientToken".to_owned(), new.name);
        add("ChangeSetType".to_owned(), if new.create { "CREATE" } else { "UPDATE" });
        add("TemplateURL".to_owned(), new.template_url);
        add("Description".to_owned(), new.description);
        add("Capabilities.member.1".to_owned(), "CAPABILITY_IAM");
        for (at, (name, value)) in new.parameters.iter().enumerate() {
            add(format!("Parameters.member.{}.ParameterKey", at + 1), name);
            match value {
                Some(value) => add(format!("Parameters.member.{}.ParameterValue", at + 1), value),
                None => add(format!("Parameters.member.{}.UsePreviousValue", at + 1), "true"),
            }
        }
        for (at, (name, value)) in new.tags.iter().enumerate() {
            add(format!("Tags.member.{}.Key", at + 1), name);
            add(format!("Tags.member.{}.Value", at + 1), value);
        }
        self.0.query(Service::CloudFormation, "CreateChangeSet", VERSION, &fields).await.map(drop)
    }

    /// With all pages of its changes.
    pub(crate) async fn change_set(&self, set: SetName<'_>) -> Result<ChangeSet> {
        let fields = set.fields();
        let first = self.ask("DescribeChangeSet", &fields).await?;
        let result = first.children.iter().find(|child| child.name == "DescribeChangeSetResult");
        let text = |name: &str| result.and_then(|result| result.text_of(name)).unwrap_or_default().to_owned();
        let mut read = ChangeSet { status: text("Status"), reason: text("StatusReason"), changes: Vec::new() };
        if read.status == "CREATE_COMPLETE" {
            let changes = self.all("DescribeChangeSet", &fields, "Changes").await?;
            read.changes = changes.iter().filter_map(|member| member.find("ResourceChange")).map(change).collect();
        }
        Ok(read)
    }

    pub(crate) async fn execute_change_set(&self, set: SetName<'_>, create: bool) -> Result<()> {
        let mut fields = set.fields().to_vec();
        fields.push(("ClientRequestToken", set.name));
        if create {
            // A stack that can't be made leaves nothing behind: there is no data yet.
            fields.push(("RetainExceptOnCreate", "true"));
        }
        self.ask("ExecuteChangeSet", &fields).await.map(drop)
    }

    pub(crate) async fn delete_change_set(&self, set: SetName<'_>) -> Result<()> {
        match self.ask("DeleteChangeSet", &set.fields()).await {
            Err(Error::Refused(refusal)) if refusal.code == "ChangeSetNotFound" => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// The names of a stack's change sets, each with when it was made.
    pub(crate) async fn change_sets(&self, stack: &str) -> Result<Vec<(String, Option<Timestamp>)>> {
        let members = self.all("ListChangeSets", &[("StackName", stack)], "Summaries").await?;
        let one = |member: &Element| {
            let made = member.text_of("CreationTime").and_then(|text| text.parse().ok());
            Some((member.text_of("ChangeSetName")?.to_owned(), made))
        };
        Ok(members.iter().filter_map(one).collect())
    }

    /// The events of a stack since the one of this id, the oldest first.
    pub(crate) async fn events(&self, stack: &str, since: Option<&str>) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut token = String::new();
        'pages: loop {
            let mut fields = vec![("StackName", stack)];
            if !token.is_empty() {
                fields.push(("NextToken", &token));
            }
            let answer = self.ask("DescribeStackEvents", &fields).await?;
            for event in answer.find("StackEvents").into_iter().flat_map(|list| &list.children).map(event) {
                if since.is_some_and(|since| since == event.id) {
                    break 'pages;
                }
                events.push(event);
            }
            match answer.find("NextToken").map(|next| next.text.clone()).filter(|next| !next.is_empty()) {
                Some(next) => token = next,
                None => break,
            }
        }
        events.reverse();
        Ok(events)
    }

    /// What CloudFormation found wrong before it touched anything, of the last operation on a stack or a change set: it is no
    /// event of a resource's. Nothing where a server does not know of such findings.
    pub(crate) async fn findings(&self, of: &[(&str, &str)]) -> Vec<Event> {
        let fields = [of, &[("Filters.FailedEvents", "true")]].concat();
        let Ok(members) = self.all("DescribeEvents", &fields, "OperationEvents").await else {
            return Vec::new();
        };
        let last = members.first().and_then(|member| member.text_of("OperationId")).map(str::to_owned);
        let of_last = members.iter().filter(|member| member.text_of("OperationId").map(str::to_owned) == last);
        of_last.filter(|member| member.text_of("EventType") == Some("VALIDATION_ERROR")).map(finding).collect()
    }

    /// The id of a stack's newest event.
    pub(crate) async fn newest_event(&self, stack: &str) -> Result<Option<String>> {
        let answer = self.ask("DescribeStackEvents", &[("StackName", stack)]).await?;
        let newest = answer.find("StackEvents").and_then(|list| list.children.first()).map(event);
        Ok(newest.map(|event| event.id))
    }

    /// A stack's resources.
    pub(crate) async fn resources(&self, stack: &str) -> Result<Vec<StackResource>> {
        let members = self.all("ListStackResources", &[("StackName", stack)], "StackResourceSummaries").await?;
        let read = |member: &Element| {
            let text = |name| member.text_of(name).unwrap_or_default().to_owned();
            StackResource {
                logical: text("LogicalResourceId"),
                physical: text("PhysicalResourceId"),
                kind: text("ResourceType"),
                status: text("ResourceStatus"),
            }
        };
        Ok(members.iter().map(read).collect())
    }

    pub(crate) async fn continue_rollback(&self, id: &str, token: &str) -> Result<()> {
        self.ask("ContinueUpdateRollback", &[("StackName", id), ("ClientRequestToken", token)]).await.map(drop)
    }

    /// Starts looking; the id of the search.
    pub(crate) async fn detect_drift(&self, stack: &str) -> Result<String> {
        let answer = self.ask("DetectStackDrift", &[("StackName", stack)]).await?;
        let id = answer.find("StackDriftDetectionId").map(|id| id.text.clone());
        id.ok_or_else(|| Error::Unreadable { action: "cloudformation:DetectStackDrift".to_owned() })
    }

    /// How far a search has come, and why it failed if it did.
    pub(crate) async fn drift_detection(&self, id: &str) -> Result<(String, String)> {
        let answer = self.ask("DescribeStackDriftDetectionStatus", &[("StackDriftDetectionId", id)]).await?;
        let text = |name: &str| answer.find(name).map(|found| found.text.clone()).unwrap_or_default();
        Ok((text("DetectionStatus"), text("DetectionStatusReason")))
    }

    /// What a search found that is not as the template says.
    pub(crate) async fn drifts(&self, stack: &str) -> Result<Vec<Drift>> {
        let filters = [
            ("StackName", stack),
            ("StackResourceDriftStatusFilters.member.1", "MODIFIED"),
            ("StackResourceDriftStatusFilters.member.2", "DELETED"),
        ];
        let members = self.all("DescribeStackResourceDrifts", &filters, "StackResourceDrifts").await?;
        Ok(members.iter().map(drift).collect())
    }

    pub(crate) async fn delete_stack(&self, id: &str, token: &str) -> Result<()> {
        self.ask("DeleteStack", &[("StackName", id), ("ClientRequestToken", token)]).await.map(drop)
    }
}

/// What CloudFormation says of a stack that there is not: a `ValidationError`, as of much else.
fn is_absence(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.code == "ValidationError" && refusal.message.contains("does not exist"))
}

fn stack(member: &Element) -> Stack {
    let text = |name| member.text_of(name).unwrap_or_default().to_owned();
    let list =
        |name: &str| member.children.iter().find(|child| child.name == name).map_or(&[][..], |list| &list.children);
    let of = |member: &Element, name| member.text_of(name).unwrap_or_default().to_owned();
    let pairs = |list: &[Element], key, value| list.iter().map(|one| (of(one, key), of(one, value))).collect();
    let outputs = list("Outputs").iter();
    Stack {
        id: text("StackId"),
        name: text("StackName"),
        status: text("StackStatus"),
        reason: text("StackStatusReason"),
        changed: member.text_of("LastUpdatedTime").or(member.text_of("CreationTime")).unwrap_or_default().to_owned(),
        outputs: outputs.map(|one| (of(one, "OutputKey"), of(one, "OutputValue"), of(one, "Description"))).collect(),
        parameters: pairs(list("Parameters"), "ParameterKey", "ParameterValue"),
        tags: pairs(list("Tags"), "Key", "Value"),
    }
}

fn event(member: &Element) -> Event {
    let text = |name| member.text_of(name).unwrap_or_default().to_owned();
    Event {
        id: text("EventId"),
        stack: text("StackName"),
        logical: text("LogicalResourceId"),
        physical: text("PhysicalResourceId"),
        kind: text("ResourceType"),
        status: text("ResourceStatus"),
        reason: text("ResourceStatusReason"),
        time: text("Timestamp"),
    }
}

fn finding(member: &Element) -> Event {
    let text = |name| member.text_of(name).unwrap_or_default().to_owned();
    let (reason, path) = (text("ValidationStatusReason"), text("ValidationPath"));
    let reason = if path.is_empty() || reason.contains(&path) { reason } else { format!("{reason} ({path})") };
    Event { status: "VALIDATION_FAILED".to_owned(), reason, ..event(member) }
}

/// A `ResourceChange`.
pub(crate) fn change(element: &Element) -> Change {
    let text = |name| element.text_of(name).unwrap_or_default().to_owned();
    let details = element.children.iter().find(|child| child.name == "Details");
    let targets = details.into_iter().flat_map(|details| &details.children).filter_map(|detail| detail.find("Target"));
    let mut changed: Vec<String> = targets
        .filter_map(|target| target.text_of("Name").filter(|name| !name.is_empty()).or(target.text_of("Attribute")))
        .map(str::to_owned)
        .collect();
    changed.sort();
    changed.dedup();
    Change {
        action: match element.text_of("Action") {
            Some("Add") => Action::Add,
            Some("Modify") => Action::Modify,
            Some("Remove") => Action::Remove,
            _ => Action::Other,
        },
        logical: text("LogicalResourceId"),
        physical: text("PhysicalResourceId"),
        kind: text("ResourceType"),
        replacement: text("Replacement"),
        policy: text("PolicyAction"),
        changed,
    }
}

fn drift(member: &Element) -> Drift {
    let text = |of: &Element, name: &str| of.text_of(name).unwrap_or_default().to_owned();
    let differences = member.children.iter().find(|child| child.name == "PropertyDifferences");
    let difference = |of: &Element| (text(of, "PropertyPath"), text(of, "ExpectedValue"), text(of, "ActualValue"));
    Drift {
        logical: text(member, "LogicalResourceId"),
        kind: text(member, "ResourceType"),
        status: text(member, "StackResourceDriftStatus"),
        differences: differences.into_iter().flat_map(|list| &list.children).map(difference).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read() {
        let xml = "<R><Stacks><member><StackId>arn:1</StackId><StackName>shop</StackName><StackStatus>REVIEW_IN_PROGRESS</StackStatus>\
                   <Outputs><member><OutputKey>ApiUrl</OutputKey><OutputValue>https://x</OutputValue></member></Outputs>\
                   <Tags><member><Key>updraft:app</Key><Value>shop</Value></member></Tags><CreationTime>t</CreationTime></member></Stacks></R>";
        let root = Element::read(xml.as_bytes()).unwrap();
        let read = stack(&root.find("Stacks").unwrap().children[0]);
        assert_eq!(
            (read.output("ApiUrl"), read.tag(crate::TAG), &*read.changed),
            (Some("https://x"), Some("shop"), "t")
        );
        assert!(read.is_review() && !read.is_busy());
    }

    #[test]
    fn a_change_is_read() {
        let xml = "<ResourceChange><Action>Modify</Action><LogicalResourceId>A</LogicalResourceId><ResourceType>AWS::SQS::Queue\
                   </ResourceType><Replacement>True</Replacement><PolicyAction>ReplaceAndRetain</PolicyAction><Details>\
                   <member><Target><Attribute>Properties</Attribute><Name>FifoQueue</Name></Target></member>\
                   <member><Target><Attribute>Tags</Attribute></Target></member></Details></ResourceChange>";
        let read = change(&Element::read(xml.as_bytes()).unwrap());
        assert_eq!(
            (read.action, &*read.replacement, read.changed),
            (Action::Modify, "True", vec!["FifoQueue".to_owned(), "Tags".to_owned()])
        );
    }
}
