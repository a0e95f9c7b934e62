//! From the binding to engines: what this unit's handlers may reach, and nothing else (another unit's secrets are not even
//! mounted here).

mod aws;

pub(crate) use self::aws::Aws;
use self::aws::Told;
use crate::capability::config::Mistake;
use crate::ctx::{Engines, Routed};
use crate::database::Databases;
use crate::engine::{BucketEngine, Messaging, SecretEngine, StoreEngine};
use crate::engines::Probe;
use crate::once::COMPLETIONS;
use crate::registry::{Handler, Partition, RESOURCES};
use crate::server::binding::Face;
use crate::server::broker::{Broker, NoBroker};
use crate::server::client::{self, Client};
use crate::server::once::Once;
use crate::server::secrets::SecretFiles;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use updraft_wire::Grants;
use updraft_wire::aws::Known;
use updraft_wire::binding::{Binding, Engine};
use updraft_wire::defaults::SECRETS_DIR;

/// Names the folder of mounted secrets, if it is not [`SECRETS_DIR`].
pub(crate) const SECRETS_VARIABLE: &str = "UPDRAFT_SECRETS_DIR";

/// The store of the dead-letter unit.
pub(crate) const DEAD_LETTERS: &str = "dead-letters";

/// What a unit works with.
pub(crate) struct Equipment {
    /// For its handlers.
    pub(crate) engines: Engines,
    /// Where dead letters are kept, in the unit that keeps them.
    pub(crate) dead_letters: Option<Arc<dyn StoreEngine>>,
    /// What handlers with `once` record, in a unit that takes their events.
    pub(crate) once: Option<Once>,
    /// What must be reached once before the unit is ready.
    pub(crate) probes: Vec<Arc<dyn Probe>>,
    /// The account, and what the environment tells of it.
    #[cfg(feature = "lambda")]
    pub(crate) aws: Aws,
}

/// Makes the engines of a unit with these handlers. Nothing is reached yet, but secrets and configs are read and checked.
///
/// # Errors
/// What is missing or wrong, all of it.
pub(crate) async fn equip(
    binding: &Binding,
    handlers: &[&'static Handler],
    (face, keeps_dead_letters): (Face, bool),
    client: &Client,
) -> Result<Equipment, Vec<String>> {
    let folder = std::env::var_os(SECRETS_VARIABLE).filter(|folder| !folder.is_empty());
    let mut secrets: Arc<dyn SecretEngine> = Arc::new(SecretFiles::new(folder.unwrap_or_else(|| SECRETS_DIR.into())));
    let mut problems = Vec::new();
    let mut aws = Aws::of_environment();
    let reached = granted(handlers);
    // Two kinds may have one id: a database's URL is a secret that goes by more than that.
    let secret = |&(kind, id): &(&'static str, &'static str)| match kind {
        "secret" => Some((id.to_owned(), Known::Secret, id)),
        "database" if in_function(&binding.resources, id) => Some((Known::Database.key(id), Known::Database, id)),
        _ => None,
    };
    let of = |engine: &Engine| -> Vec<Told> {
        let bound = binding.resources.get("secret");
        let all = reached.iter().filter_map(secret);
        all.filter(|(secret, ..)| bound.and_then(|bound| bound.get(secret)) == Some(engine)).collect()
    };
    let kept = match (&of(&Engine::SecretsManager {})[..], &of(&Engine::ParameterStore {})[..]) {
        ([], []) => None,
        (managed, []) => Some(aws.secrets(managed)),
        ([], parameters) => Some(aws.parameters(parameters)),
        _ => Some(Err("some are kept by Secrets Manager, others by Parameter Store".to_owned())),
    };
    match kept {
        None => {}
        Some(Ok(keeper)) => secrets = keeper,
        Some(Err(problem)) => problems.push(format!("secrets: {problem}")),
    }
    let mut maker =
        Maker { app: &binding.app, secrets, aws, redis: BTreeMap::new(), probes: Vec::new(), places: BTreeMap::new() };
    let mut stores = BTreeMap::new();
    let mut buckets = BTreeMap::new();
    let mut databases = Databases::default();
    let (mut configs, mut externals) = (BTreeMap::new(), BTreeMap::new());
    let mut sends = false;

    for (kind, id) in reached {
        let engine = binding.resources.get(kind).and_then(|resources| resources.get(id));
        let made = match (kind, engine) {
            ("store", Some(engine)) => maker.store(id, engine).map(|store| {
                stores.insert(id.to_owned(), store);
            }),
            ("bucket", Some(engine)) => maker.bucket(id, engine).map(|bucket| {
                buckets.insert(id.to_owned(), bucket);
            }),
            ("database", Some(engine)) => maker.database(id, engine, &mut databases).await,
            ("queue" | "topic", Some(Engine::Broker {}) | None) => {
                sends = true;
                Ok(())
            }
            ("queue", Some(Engine::Sqs {})) => maker.aws.queue(id),
            ("topic", Some(Engine::Sns {})) => maker.aws.topic(id),
            ("secret", Some(Engine::File {} | Engine::SecretsManager {} | Engine::ParameterStore {}) | None) => {
                maker.secret(id).await
            }
            ("config", Some(Engine::Value {}) | None) => {
                match config(binding, id) {
                    Ok(value) => {
                        configs.insert(id.to_owned(), value);
                    }
                    Err(found) => problems.extend(found.into_iter().map(|found| format!("config `{id}`: {found}"))),
                }
                Ok(())
            }
            ("external", Some(Engine::Hosts { base_url })) => {
                externals.extend(base_url.clone().map(|url| (id.to_owned(), url)));
                Ok(())
            }
            ("external" | "function", None) => Ok(()),
            (_, None) => Err("the binding names no engine for it".to_owned()),
            (_, Some(engine)) => Err(format!("no {kind} can be kept by {engine:?}")),
        };
        problems.extend(made.err().map(|problem| format!("{kind} `{id}`: {problem}")));
    }
    let dead_letters = match (&binding.dead_letters, keeps_dead_letters) {
        (_, false) => None,
        (None, true) => {
            problems.push("the binding names no engine for dead letters".to_owned());
            None
        }
        (Some(engine), true) => match maker.store(DEAD_LETTERS, engine) {
            Ok(store) => Some(store),
            Err(problem) => {
                problems.push(format!("dead letters: {problem}"));
                None
            }
        },
    };
    let first = handlers.iter().find(|handler| face == Face::Internal && handler.once().is_some());
    let once = match (first, &binding.once) {
        (None, _) => None,
        (Some(handler), None) => {
            problems.push(format!("the binding names no engine for `once`, which `{}` has", handler.id));
            None
        }
        (Some(_), Some(engine)) => match maker.store(COMPLETIONS, engine) {
            Ok(store) => Some(Once::new(store)),
            Err(problem) => {
                problems.push(format!("once: {problem}"));
                None
            }
        },
    };
    let unit = binding.dead_letter_url.as_deref().map(client::url).transpose();
    let messaging = match (&binding.broker_url, sends) {
        (None, true) => Err("a queue or topic is used, but the binding names no `broker_url`".to_owned()),
        (None, false) => Ok(Arc::new(NoBroker) as Arc<dyn Messaging>),
        (Some(broker), _) => match client::url(broker) {
            Ok(ingress) => {
                let broker = Broker::new(client.clone(), &binding.app, ingress).dead_letters(unit.unwrap_or_default());
                Ok(Arc::new(broker) as Arc<dyn Messaging>)
            }
            Err(problem) => Err(format!("`broker_url`: {problem}")),
        },
    };
    if !databases.is_empty() {
        maker.aws.hands_on();
    }
    let messaging = match maker.aws.messaging() {
        Ok(None) => messaging,
        Ok(Some(_)) if sends => Err("some queues and topics have a broker, others AWS".to_owned()),
        Ok(Some(senders)) => Ok(senders),
        Err(problem) => Err(problem),
    };
    match messaging {
        Ok(messaging) if problems.is_empty() => {
            let secrets = maker.secrets;
            let stores = Routed { default: None, by_id: stores };
            let buckets = Routed { default: None, by_id: buckets };
            let functions = Routed::default();
            let engines = Engines { messaging, stores, buckets, databases, functions, secrets, configs, externals };
            Ok(Equipment {
                engines,
                dead_letters,
                once,
                probes: maker.probes,
                #[cfg(feature = "lambda")]
                aws: maker.aws,
            })
        }
        messaging => {
            problems.extend(messaging.err());
            Err(problems)
        }
    }
}

/// The kinds and ids of all that the handlers' parameters grant.
pub(crate) fn granted(handlers: &[&'static Handler]) -> BTreeSet<(&'static str, &'static str)> {
    fn add(grants: &Grants, all: &mut BTreeSet<(&'static str, &'static str)>) {
        match grants {
            Grants::None => {}
            Grants::One { kind, resource, .. } => {
                all.insert((kind, resource));
            }
            Grants::All(several) => several.iter().for_each(|grants| add(grants, all)),
        }
    }
    let mut all = BTreeSet::new();
    handlers.iter().for_each(|handler| add(&handler.grants, &mut all));
    all
}

/// Whether a database's URL lies where AWS keeps it for a function.
fn in_function(resources: &BTreeMap<String, BTreeMap<String, Engine>>, id: &str) -> bool {
    let engine = resources.get("database").and_then(|databases| databases.get(id));
    matches!(engine, Some(Engine::Postgres { url_secret, .. }) if *url_secret == Known::Database.key(id))
}

/// A config's value, checked by its own type. Without one in the binding its defaults must do.
fn config(binding: &Binding, id: &str) -> Result<serde_json::Value, Vec<String>> {
    let value = binding.configs.get(id).cloned().unwrap_or_else(|| serde_json::json!({}));
    let validate = RESOURCES.iter().find(|resource| resource.kind == "config" && resource.id == id);
    match validate.and_then(|resource| resource.validate) {
        Some(validate) => validate(&value).map(|()| value).map_err(|found| {
            let told = |Mistake { key, reason }: Mistake| match key {
                Some(key) => format!("{reason} (`{key}` stands in `[config.{id}]` of Updraft.toml)"),
                None => format!("{reason} (its values stand in `[config.{id}]` of Updraft.toml)"),
            };
            found.into_iter().map(told).collect()
        }),
        None => Ok(value),
    }
}

/// Whether a secret may be absent: its declaration says so.
fn optional(id: &str) -> bool {
    let secret = RESOURCES.iter().find(|resource| resource.kind == "secret" && resource.id == id);
    secret.and_then(|secret| secret.option("optional")).is_some_and(|value| value == "true")
}

struct Maker<'a> {
    app: &'a str,
    secrets: Arc<dyn SecretEngine>,
    aws: Aws,
    /// One connection for each secret that holds a URL.
    redis: BTreeMap<String, Arc<RedisConnection>>,
    probes: Vec<Arc<dyn Probe>>,
    /// Place → the resource that lies there.
    places: BTreeMap<String, String>,
}

#[cfg(feature = "redis")]
type RedisConnection = crate::engines::redis::Connection;
#[cfg(not(feature = "redis"))]
type RedisConnection = std::convert::Infallible;

impl Maker<'_> {
    fn store(&mut self, id: &str, engine: &Engine) -> Result<Arc<dyn StoreEngine>, String> {
        let declared = RESOURCES.iter().find(|resource| resource.kind == "store" && resource.id == id);
        let partition = declared.and_then(|resource| resource.partition);
        match engine {
            Engine::Redis { url_secret, prefix } => self.redis(id, url_secret, prefix.as_ref(), partition),
            Engine::DynamoDb {} => {
                let named = if id == COMPLETIONS { (Known::Once, self.app) } else { (Known::Store, id) };
                self.aws.store(id, named, partition)
            }
            engine => Err(cannot("store", engine)),
        }
    }

    #[cfg(feature = "redis")]
    fn redis(
        &mut self,
        id: &str,
        url_secret: &String,
        prefix: Option<&String>,
        partition: Option<Partition>,
    ) -> Result<Arc<dyn StoreEngine>, String> {
        let connection = match self.redis.get(url_secret) {
            Some(connection) => connection.clone(),
            None => {
                let connection = Arc::new(RedisConnection::new(self.secrets.clone(), url_secret));
                self.redis.insert(url_secret.clone(), connection.clone());
                self.probes.push(connection.clone());
                connection
            }
        };
        let place = prefix.cloned().unwrap_or_else(|| format!("{}:{id}:", self.app));
        self.alone(format!("redis {url_secret} {place}"), id)?;
        let store = crate::engines::redis::RedisStore::new(connection, self.app, prefix.cloned());
        Ok(Arc::new(match partition {
            Some(partition) => store.partitioned(partition),
            None => store,
        }))
    }

    #[cfg(not(feature = "redis"))]
    fn redis(
        &mut self,
        _: &str,
        _: &String,
        _: Option<&String>,
        _: Option<Partition>,
    ) -> Result<Arc<dyn StoreEngine>, String> {
        let _ = (&self.redis, &self.probes, &self.places);
        Err(built_without("redis"))
    }

    #[cfg(feature = "s3")]
    fn bucket(&mut self, id: &str, engine: &Engine) -> Result<Arc<dyn BucketEngine>, String> {
        use crate::engines::s3::{S3Bucket, S3Settings};
        let (endpoint, bucket, region, credentials_secret, prefix) = match engine {
            Engine::S3 { endpoint, bucket, region, credentials_secret, prefix } => {
                (endpoint, bucket, region, credentials_secret, prefix)
            }
            Engine::AwsS3 {} => return self.aws.bucket(id),
            engine => return Err(cannot("bucket", engine)),
        };
        let prefix = prefix.clone().unwrap_or_else(|| format!("{id}/"));
        self.alone(format!("s3 {endpoint:?} {bucket} {prefix}"), id)?;
        let settings = S3Settings {
            endpoint: endpoint.clone(),
            bucket: bucket.clone(),
            region: region.clone(),
            credentials_secret: credentials_secret.clone(),
            prefix,
        };
        let bucket = S3Bucket::new(settings, self.secrets.clone()).map_err(|error| error.to_string())?;
        let bucket = Arc::new(bucket);
        self.probes.push(bucket.clone());
        Ok(bucket)
    }

    #[cfg(not(feature = "s3"))]
    fn bucket(&mut self, id: &str, engine: &Engine) -> Result<Arc<dyn BucketEngine>, String> {
        match engine {
            Engine::S3 { .. } => Err(built_without("s3")),
            Engine::AwsS3 {} => self.aws.bucket(id),
            engine => Err(cannot("bucket", engine)),
        }
    }

    #[cfg(feature = "postgres")]
    async fn database(&mut self, id: &str, engine: &Engine, databases: &mut Databases) -> Result<(), String> {
        use crate::engines::postgres::{Postgres, options};
        let Engine::Postgres { url_secret, max_connections } = engine else { return Err(cannot("database", engine)) };
        let url = crate::engines::credentials(&*self.secrets, url_secret).await.map_err(|error| error.to_string())?;
        let options = options(&url).map_err(|error| format!("the secret `{url_secret}`: {error}"))?;
        let migrations = crate::database::declared().remove(id).ok_or("this program has no such database")?;
        self.alone(format!("postgres {url_secret}"), id)?;
        let made = if *url_secret == Known::Database.key(id) { Postgres::in_function } else { Postgres::new };
        let database = Arc::new(made(id, &options, migrations, *max_connections));
        database.follow(self.secrets.clone(), url_secret, url);
        self.probes.push(database.clone());
        databases.add(database);
        Ok(())
    }

    #[cfg(not(feature = "postgres"))]
    async fn database(&mut self, _: &str, engine: &Engine, _: &mut Databases) -> Result<(), String> {
        match engine {
            Engine::Postgres { .. } => Err(built_without("postgres")),
            engine => Err(cannot("database", engine)),
        }
    }

    /// Two resources in one place would see each other's entries.
    #[cfg(any(feature = "postgres", feature = "redis", feature = "s3"))]
    fn alone(&mut self, place: String, id: &str) -> Result<(), String> {
        match self.places.insert(place, id.to_owned()) {
            None => Ok(()),
            Some(other) => Err(format!("`{other}` lies in the same place: give each a `prefix` of its own")),
        }
    }

    async fn secret(&self, id: &str) -> Result<(), String> {
        match self.secrets.get(id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) if optional(id) => Ok(()),
            Ok(None) => Err(format!("it has no value: {}", self.secrets.how_to_provide(id))),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn cannot(kind: &str, engine: &Engine) -> String {
    format!("no {kind} can be kept by {engine:?}")
}

/// Why an engine is not there, and the way out.
#[allow(dead_code, reason = "a program that was built with every engine needs no such words")]
pub(crate) fn built_without(feature: &str) -> String {
    format!("this program was built without that engine: build it with `--features updraft/{feature}`")
}
