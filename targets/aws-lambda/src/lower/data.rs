//! What keeps data: tables, buckets, secrets. All of it stays, whatever becomes of the stack.

use super::{Made, Source, module_with};
use crate::intrinsics::Text;
use crate::names::{self, Ending, alone, logical};
use crate::resources::dynamodb::Table;
use crate::resources::s3::{Bucket, BucketPolicy, Notification};
use crate::resources::secrets::{Kept, Secret};
use crate::template::{Broken, Made as Resource, Template};
use crate::units::describe;
use updraft_model::settings::SecretKeeper;
use updraft_model::{Kind, Trigger};

pub(super) fn stores<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for store in source.used(Kind::Store) {
        let table = Table::new(store.options.contains_key("partition"));
        let from = [format!("store {}", store.id)];
        let id = template
            .add(logical(&store.id, Ending::Table), Resource::new(table, from).keeps().of_module(module_with(store)))?;
        made.tables.insert(&store.id, id);
    }
    let once: Vec<String> = source.app.handlers.iter().filter(|handler| handler.is_once()).map(describe).collect();
    if !once.is_empty() {
        let resource = Resource::new(Table::new(false), once).keeps();
        made.once = Some(template.add(alone(Ending::Once), resource)?);
    }
    Ok(())
}

pub(super) fn secrets<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for secret in source.used(Kind::Secret) {
        let about = secret.about.clone().unwrap_or_else(|| format!("The secret {} of {}", secret.id, source.app.name));
        let names = (logical(&secret.id, Ending::Secret), format!("secret {}", secret.id));
        made.secrets.insert(&secret.id, kept(source, template, names, about)?);
    }
    Ok(())
}

/// The URLs of databases, which somebody else keeps.
pub(super) fn databases<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for database in source.used(Kind::Database) {
        let about = format!("postgres://user:password@host:port/database of the database {}", database.id);
        let names = (logical(&database.id, Ending::DatabaseUrl), format!("database {}", database.id));
        made.databases.insert(&database.id, kept(source, template, names, about)?);
    }
    Ok(())
}

/// Where a secret's value is, by its name and what it is there for.
fn kept(
    source: &Source<'_>,
    template: &mut Template,
    (name, from): (String, String),
    about: String,
) -> Result<Kept, Broken> {
    match source.settings.aws_lambda.secrets {
        SecretKeeper::SecretsManager => {
            let resource = Resource::new(Secret::new(&about), [from]).keeps();
            template.add(name, resource).map(Kept::Secret)
        }
        SecretKeeper::ParameterStore => {
            template.secret_outside(&name, from)?;
            Ok(Kept::Parameter(name))
        }
    }
}

/// After the queues that they tell of their objects: S3 asks each of those whether it may.
pub(super) fn buckets<'a>(source: &Source<'a>, template: &mut Template, made: &mut Made<'a>) -> Result<(), Broken> {
    for bucket in source.used(Kind::Bucket) {
        let mut notifications = Vec::new();
        let mut grants = Vec::new();
        let mut from = vec![format!("bucket {}", bucket.id)];
        for handler in &source.app.handlers {
            let Trigger::Object { bucket: of, event, prefix, suffix } = &handler.trigger else { continue };
            if let Some(inbox) = made.inboxes.get(handler.id.as_str()).filter(|_| *of == bucket.id) {
                notifications.push(Notification::new(*event, &inbox.queue, prefix, suffix));
                grants.extend(&inbox.grant);
                from.push(describe(handler));
            }
        }
        let mut resource = Resource::new(Bucket::new(name(source, &bucket.id), notifications), from).keeps();
        for grant in grants {
            resource = resource.after(grant);
        }
        let id = template.add(logical(&bucket.id, Ending::Bucket), resource)?;
        let policy = Resource::new(BucketPolicy::only_by_tls(&id), [format!("bucket {}", bucket.id)]).keeps();
        template.add(logical(&bucket.id, Ending::BucketPolicy), policy)?;
        made.buckets.insert(&bucket.id, id);
    }
    Ok(())
}

/// The name of a bucket.
fn name(source: &Source<'_>, id: &str) -> Text {
    Text::plain(names::bucket(&source.app.name, id)).then("-").then(Text::stack())
}

/// The ARN of a bucket that need not be there yet.
pub(super) fn bucket_arn(source: &Source<'_>, id: &str) -> Text {
    Text::of(["arn:".into(), Text::partition(), ":s3:::".into(), name(source, id)])
}
