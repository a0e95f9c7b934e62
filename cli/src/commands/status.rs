//! `cargo updraft status`: what is deployed, and how it stands.

use crate::args::Global;
use crate::aws::{self, Names, Place};
use crate::exit::Result;
use crate::report::Reporter;
use serde_json::{Value, json};
use updraft_aws_deploy::{Drift, Ending, Error, Record, Stack, Target};
use updraft_aws_lambda::CODE_PARAMETERS;

/// How many deployments are shown.
const SHOWN: usize = 20;

/// Shows what is deployed: the stack's state, versions and which is live, outputs, secrets without a value
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    place: Place,
    /// Look for what was changed behind CloudFormation's back, too
    #[arg(long)]
    drift: bool,
    /// Look at a stack that Updraft did not make, or another application's
    #[arg(long)]
    adopt: bool,
}

pub(crate) fn run(command: &Status, global: &Global, reporter: &Reporter) -> Result {
    let names = aws::names(global, &command.place)?;
    aws::runtime()?.block_on(async {
        let target = names.connect(reporter).await?;
        let look = async {
            let stack = target.stack(command.adopt).await?.filter(|stack| !stack.is_review());
            let absent = || Error::NoStack { stack: names.stack.clone(), region: target.region().to_owned() };
            let stack = stack.ok_or_else(absent)?;
            let look = Look::new(&target, &stack).await?;
            let drift = if command.drift { Some(look.drift(&target, &stack).await?) } else { None };
            Ok((look, stack, drift))
        };
        let (look, stack, drift) = look.await.map_err(|error| aws::nothing_changed(&error))?;
        if reporter.json() {
            aws::json(reporter, "status", look.object(&names, &stack, drift.as_ref()));
        } else {
            look.tell(&target, &stack, reporter);
            if let Some(drift) = &drift {
                tell_drift(drift.as_deref(), reporter);
            }
        }
        Ok(())
    })
}

/// What is found besides the stack.
struct Look {
    live: String,
    /// Whether its deployment has not come to its end.
    is_between: bool,
    /// Whether parts are of another version than the main stack.
    is_half_way: bool,
    /// Of an application of several stacks, all but the main one.
    parts: Vec<(Target, Stack)>,
    /// The newest first.
    records: Vec<Record>,
    more: usize,
    empty: Vec<updraft_aws_deploy::Empty>,
    /// Why nobody knows which secrets have a value.
    unknown: Option<String>,
}

impl Look {
    async fn new(target: &Target, stack: &Stack) -> updraft_aws_deploy::Result<Look> {
        let live = target.live(stack, CODE_PARAMETERS).await?;
        let entries = target.history().await?;
        let mut records = Vec::new();
        for entry in entries.iter().rev().take(SHOWN) {
            records.extend(target.record(entry).await?);
        }
        let (empty, unknown) = match target.empty_secrets(stack).await {
            Ok(empty) => (empty, None),
            // Who may look at the stack need not be allowed to look at secrets.
            Err(Error::Refused(refusal)) if refusal.is_denied() => (Vec::new(), Some(refusal.action)),
            Err(error) => return Err(error),
        };
        let parts = target.stacks_of_parts(Some(&live.template)).await?;
        let is_between = live.is_between;
        let is_half_way = !is_between && target.is_half_way(&live, &parts, CODE_PARAMETERS).await?;
        let live = live.version;
        Ok(Look {
            live,
            is_between,
            is_half_way,
            parts,
            records,
            more: entries.len().saturating_sub(SHOWN),
            empty,
            unknown,
        })
    }

    /// What was changed behind CloudFormation's back, in all stacks.
    async fn drift(&self, target: &Target, stack: &Stack) -> updraft_aws_deploy::Result<Option<Vec<Drift>>> {
        let mut all = target.drift(stack).await?;
        for (part, stack) in &self.parts {
            let drift = part.drift(stack).await?;
            all = all.zip(drift).map(|(all, drift)| all.into_iter().chain(drift).collect());
        }
        Ok(all)
    }

    /// What all stacks tell.
    fn outputs<'s>(&'s self, stack: &'s Stack) -> impl Iterator<Item = &'s (String, String, String)> {
        stack.outputs.iter().chain(self.parts.iter().flat_map(|(_, part)| &part.outputs))
    }

    /// Whether a record is of what is live: of several, the newest.
    fn is_live(&self, at: usize) -> bool {
        self.records.iter().position(|record| record.version == self.live) == Some(at)
    }

    fn state(&self, at: usize) -> String {
        match &self.records[at].outcome {
            _ if self.is_live(at) && self.is_between => match self.records.len() {
                1 => "not at its end: not all of it is there".to_owned(),
                _ => "not at its end: some functions are of another version".to_owned(),
            },
            _ if self.is_live(at) && self.is_half_way => "live, but some functions are of another version".to_owned(),
            _ if self.is_live(at) => "live".to_owned(),
            Some(Ending::Deployed) => String::new(),
            Some(Ending::Failed(reason)) => format!("failed: {reason}"),
            None => "not seen to its end".to_owned(),
        }
    }

    fn object(&self, names: &Names, stack: &Stack, drift: Option<&Option<Vec<Drift>>>) -> Value {
        let outputs: serde_json::Map<String, Value> =
            self.outputs(stack).map(|(key, value, _)| (key.clone(), value.as_str().into())).collect();
        let versions = self.records.iter().enumerate().map(|(at, record)| {
            json!({
                "version": record.version, "time": record.time, "who": record.who, "by": record.by,
                "live": self.is_live(at), "outcome": record.outcome,
            })
        });
        let parts = self.parts.iter().map(|(_, stack)| {
            json!({ "stack": stack.name, "status": stack.status, "message": stack.reason, "changed": stack.changed })
        });
        let secrets = self.empty.iter().map(|secret| json!({ "arn": secret.arn, "command": secret.command() }));
        let mut value = json!({
            "stack": names.stack, "status": stack.status, "message": stack.reason, "changed": stack.changed,
            "version": self.live, "between": self.is_between || self.is_half_way, "parts": parts.collect::<Vec<_>>(), "outputs": outputs, "versions": versions.collect::<Vec<_>>(),
            "empty_secrets": if self.unknown.is_some() { Value::Null } else { secrets.collect::<Vec<_>>().into() },
        });
        if let Some(drift) = drift {
            let one = |drift: &Drift| {
                let differences = drift.differences.iter().map(
                    |(property, expected, actual)| json!({ "property": property, "expected": expected, "actual": actual }),
                );
                json!({
                    "logical": drift.logical, "type": drift.kind, "status": drift.status,
                    "differences": differences.collect::<Vec<_>>(),
                })
            };
            value["drift"] = drift.as_ref().map(|drift| drift.iter().map(one).collect::<Vec<_>>()).into();
        }
        value
    }

    fn tell(&self, target: &Target, stack: &Stack, reporter: &Reporter) {
        let reason = if stack.reason.is_empty() { String::new() } else { format!(": {}", stack.reason) };
        reporter.result(&format!(
            "stack {} in {}, account {}\n{} since {}{reason}",
            stack.name,
            target.region(),
            target.account.id,
            stack.status,
            stack.changed
        ));
        for (_, part) in &self.parts {
            let reason = if part.reason.is_empty() { String::new() } else { format!(": {}", part.reason) };
            reporter.result(&format!("  part {}: {} since {}{reason}", part.name, part.status, part.changed));
        }
        reporter.result("\nversions");
        if self.records.iter().all(|record| record.version != self.live) {
            reporter.result(&format!("* {}  live, without a record", self.live));
        }
        for (at, record) in self.records.iter().enumerate() {
            let mark = if self.is_live(at) { "*" } else { " " };
            let Record { version, time, who, by, .. } = record;
            let line = format!("{mark} {version}  {time}  {by} by {who}  {}", self.state(at));
            reporter.result(line.trim_end());
        }
        if self.more > 0 {
            reporter.result(&format!("  and {} earlier ones", self.more));
        }
        if self.outputs(stack).next().is_some() {
            reporter.result("\noutputs");
        }
        for (key, value, _) in self.outputs(stack) {
            reporter.result(&format!("  {key} = {value}"));
        }
        aws::secrets(&self.empty, reporter);
        if let Some(action) = &self.unknown {
            reporter.result(&format!("\nsecrets: which have no value can't be said without {action}"));
        }
    }
}

fn tell_drift(drift: Option<&[Drift]>, reporter: &Reporter) {
    let Some(drift) = drift else {
        reporter.result("\ndrift: this endpoint can't say");
        return;
    };
    reporter.result(if drift.is_empty() { "\ndrift: none" } else { "\ndrift" });
    for one in drift {
        reporter.result(&format!("  {} ({}) {}", one.logical, one.kind, one.status.to_lowercase()));
        for (property, expected, actual) in &one.differences {
            reporter.result(&format!("      {property}: {expected} → {actual}"));
        }
    }
}
