//! A plan becomes a template: the conductor.

mod data;
mod functions;
mod grants;
pub(crate) mod http;
mod messages;
mod outbox;
mod rollout;

use crate::intrinsics::Text;
use crate::resources::dynamodb::Table;
use crate::resources::lambda::{Alias, Code, Function as LambdaFunction};
use crate::resources::s3::Bucket;
use crate::resources::secrets::Kept;
use crate::resources::sns::Topic;
use crate::resources::sqs::{Order, Queue, QueuePolicy};
use crate::template::{Broken, Id, Template};
use crate::units::{Function, functions};
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::settings::Package;
use updraft_model::{App, Handler, Kind, Resource, Settings, Unit};

/// The parameters that say where the zip is.
pub(crate) const ZIP_PARAMETERS: [(&str, &str); 2] = [
    ("CodeBucketName", "The bucket that holds the functions' zip, in the stack's region"),
    ("CodeKey", "The zip's key in that bucket"),
];
/// The one that says which image it is.
pub(crate) const IMAGE_PARAMETER: (&str, &str) =
    ("CodeImage", "The functions' image, in a repository of ECR in the stack's region, by its digest");

/// What a lowering reads.
pub(crate) struct Source<'a> {
    pub(crate) app: &'a App,
    pub(crate) settings: &'a Settings,
    /// In the order in which they can be made.
    pub(crate) functions: Vec<Function<'a>>,
    /// Another where another program or binding is deployed.
    pub(crate) revision: String,
}

impl<'a> Source<'a> {
    /// `None` if functions call each other in a circle, which the check has refused.
    pub(crate) fn new(app: &'a App, units: &'a [Unit], settings: &'a Settings, revision: String) -> Option<Self> {
        Some(Source { app, settings, functions: functions(app, units).ok()?, revision })
    }

    /// Whether functions ask for queues that no handler sends to itself: whoever takes messages puts them back and gives them up,
    /// and what outboxes can't send is kept.
    pub(crate) fn keeps_messages(&self) -> bool {
        self.app.handlers.iter().any(Handler::takes_messages) || !outbox::with_unsent(self).is_empty()
    }

    /// The resources of a kind that a handler reaches, or is run by, sorted by id.
    fn used(&self, kind: Kind) -> Vec<&'a Resource> {
        let mut used: BTreeSet<&str> = BTreeSet::new();
        for handler in &self.app.handlers {
            let granted = handler.grants.iter().filter(|grant| grant.kind == kind);
            used.extend(granted.map(|grant| grant.resource.as_str()));
            used.extend(handler.trigger.source().filter(|(by, _)| *by == kind).map(|(_, id)| id));
        }
        used.into_iter().filter_map(|id| self.app.resource(kind, id)).collect()
    }
}

/// The module of a handler.
fn module_of(handler: &Handler) -> String {
    if handler.module.is_empty() { handler.krate.clone() } else { format!("{}::{}", handler.krate, handler.module) }
}

/// The module that declares a resource.
fn module_with(resource: &Resource) -> String {
    resource.path.rsplit_once("::").map_or(&*resource.path, |(module, _)| module).to_owned()
}

/// What is in the template so far, by the ids of the application.
#[derive(Default)]
struct Made<'a> {
    tables: BTreeMap<&'a str, Id<Table>>,
    once: Option<Id<Table>>,
    /// For what outboxes can't send.
    unsent: Option<Id<Queue>>,
    secrets: BTreeMap<&'a str, Kept>,
    /// What holds a database's URL.
    databases: BTreeMap<&'a str, Kept>,
    topics: BTreeMap<&'a str, Id<Topic>>,
    queues: BTreeMap<&'a str, Id<Queue>>,
    buckets: BTreeMap<&'a str, Id<Bucket>>,
    /// By handler.
    inboxes: BTreeMap<&'a str, Inbox>,
    /// By unit.
    functions: BTreeMap<&'a str, Id<LambdaFunction>>,
    /// By unit.
    aliases: BTreeMap<&'a str, Id<Alias>>,
}

/// What a handler takes its messages from.
struct Inbox {
    queue: Id<Queue>,
    dead_letters: Id<Queue>,
    order: Order,
    /// Who else lets others in: a queue's own policy.
    grant: Option<Id<QueuePolicy>>,
}

/// A template, and how much its functions are told.
pub(crate) struct Lowered<'a> {
    pub(crate) template: Template,
    /// By unit: the variables' names and values, in bytes, at most.
    pub(crate) environments: BTreeMap<&'a str, usize>,
}

/// Everything, in an order in which each resource names only what is there. Whatever is told of something by AWS comes after
/// what it tells, and functions after what they reach.
pub(crate) fn lower<'a>(source: &Source<'a>) -> Result<Lowered<'a>, Broken> {
    let mut template = Template::new(format!("{}, by Updraft", source.app.name));
    let code = code(source.settings.aws_lambda.package, &mut template);
    let mut made = Made::default();
    data::stores(source, &mut template, &mut made)?;
    data::secrets(source, &mut template, &mut made)?;
    data::databases(source, &mut template, &mut made)?;
    messages::topics(source, &mut template, &mut made)?;
    messages::queues(source, &mut template, &mut made)?;
    messages::inboxes(source, &mut template, &mut made)?;
    data::buckets(source, &mut template, &mut made)?;
    outbox::unsent(source, &mut template, &mut made)?;
    let environments = functions::functions(source, &code, &mut template, &mut made)?;
    functions::mappings(source, &mut template, &made)?;
    messages::subscriptions(source, &mut template, &made)?;
    messages::schedules(source, &mut template, &made)?;
    outbox::ticks(source, &mut template, &made)?;
    http::entry(source, &mut template, &made)?;
    outputs(source, &mut template, &made);
    Ok(Lowered { template, environments })
}

/// Where the functions' code is, which whoever deploys says.
fn code(package: Package, template: &mut Template) -> Code {
    let mut parameter = |(name, description)| template.parameter(name, description);
    match package {
        Package::Zip => {
            let [bucket, key] = ZIP_PARAMETERS.map(&mut parameter);
            Code::Zip { bucket, key }
        }
        Package::Image => Code::Image { uri: parameter(IMAGE_PARAMETER) },
    }
}

/// What those outside the application need to know of what they share with it.
fn outputs(source: &Source<'_>, template: &mut Template, made: &Made<'_>) {
    let shared =
        |kind: Kind, id: &str| source.app.resource(kind, id).is_some_and(|resource| resource.external.is_some());
    let mut add = |kind: Kind, id: &str, logical: &str, value: Text| {
        if shared(kind, id) {
            template.output(logical.to_owned(), format!("{kind} {id}"), value);
        }
    };
    for (id, queue) in &made.queues {
        add(Kind::Queue, id, queue.logical(), queue.url());
    }
    for (id, topic) in &made.topics {
        add(Kind::Topic, id, topic.logical(), topic.arn());
    }
    for (id, table) in &made.tables {
        add(Kind::Store, id, table.logical(), table.name());
    }
    for (id, bucket) in &made.buckets {
        add(Kind::Bucket, id, bucket.logical(), bucket.name());
    }
}

/// How long a unit's function may take, in seconds.
fn timeout(function: &Function<'_>) -> u32 {
    use crate::capabilities::{LONGEST_FUNCTION_SECONDS, MARGIN_SECONDS};
    (function.longest() + MARGIN_SECONDS).min(LONGEST_FUNCTION_SECONDS)
}
