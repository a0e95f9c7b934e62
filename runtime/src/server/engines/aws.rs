//! From the binding to AWS's engines. What they are called stands in [`RESOURCES_VARIABLE`]; who asks is the process's own
//! role, so that nothing is asked for until a handler does.

use crate::engine::{BucketEngine, Messaging, SecretEngine, StoreEngine};
#[cfg(any(feature = "parameter-store", feature = "secrets-manager"))]
use crate::engines::aws::secrets::{Keeper, Secrets};
use crate::registry::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use updraft_wire::aws::{Known, RESOURCES_VARIABLE, Resources};

/// A secret: the id by which the unit asks for it, and what [`RESOURCES_VARIABLE`] tells of it under.
pub(super) type Told = (String, Known, &'static str);

/// What AWS keeps for a unit.
pub(crate) struct Aws {
    known: Result<Resources, String>,
    #[cfg(feature = "aws")]
    account: Option<crate::engines::aws::Account>,
    /// Id → URL.
    queues: BTreeMap<String, String>,
    /// Id → ARN.
    topics: BTreeMap<String, String>,
}

impl Aws {
    /// What the environment tells of; a mistake in it is told to whoever needs it.
    pub(super) fn of_environment() -> Self {
        let known = match std::env::var(RESOURCES_VARIABLE) {
            Ok(json) => read(&json),
            Err(_) => Ok(Resources::default()),
        };
        Aws {
            known,
            #[cfg(feature = "aws")]
            account: None,
            queues: BTreeMap::new(),
            topics: BTreeMap::new(),
        }
    }

    /// What CloudFormation told.
    ///
    /// # Errors
    /// If that can't be read.
    pub(crate) fn resources(&self) -> Result<&Resources, String> {
        self.known.as_ref().map_err(Clone::clone)
    }

    fn name(&self, known: Known, id: &str) -> Result<String, String> {
        let resources = self.resources()?;
        let missing = || format!("{RESOURCES_VARIABLE} does not name `{}`", known.key(id));
        resources.get(known, id).map(str::to_owned).ok_or_else(missing)
    }

    /// One for all, made when the first needs it.
    #[cfg(feature = "aws")]
    pub(crate) fn account(&mut self) -> Result<crate::engines::aws::Account, String> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let account = crate::engines::aws::Account::from_environment().map_err(|error| error.to_string())?;
        Ok(self.account.insert(account).clone())
    }

    pub(super) fn queue(&mut self, id: &str) -> Result<(), String> {
        let url = self.name(Known::Queue, id)?;
        self.queues.insert(id.to_owned(), url);
        Ok(())
    }

    pub(super) fn topic(&mut self, id: &str) -> Result<(), String> {
        let arn = self.name(Known::Topic, id)?;
        self.topics.insert(id.to_owned(), arn);
        Ok(())
    }

    /// A store, under the name by which the runtime knows it, in a table that goes by `named`.
    #[cfg(feature = "dynamodb")]
    pub(super) fn store(
        &mut self,
        id: &str,
        named: (Known, &str),
        partition: Option<Partition>,
    ) -> Result<Arc<dyn StoreEngine>, String> {
        let name = self.name(named.0, named.1)?;
        let store = crate::engines::dynamodb::DynamoDbStore::new(&self.account()?);
        Ok(Arc::new(store.map_err(|error| error.to_string())?.table(id, &name, partition)))
    }

    #[cfg(not(feature = "dynamodb"))]
    pub(super) fn store(
        &mut self,
        _: &str,
        _: (Known, &str),
        _: Option<Partition>,
    ) -> Result<Arc<dyn StoreEngine>, String> {
        Err(super::built_without("dynamodb"))
    }

    #[cfg(feature = "s3")]
    pub(super) fn bucket(&mut self, id: &str) -> Result<Arc<dyn BucketEngine>, String> {
        let name = self.name(Known::Bucket, id)?;
        let bucket = crate::engines::s3::S3Bucket::of_account(&self.account()?, &name);
        Ok(Arc::new(bucket.map_err(|error| error.to_string())?))
    }

    #[cfg(not(feature = "s3"))]
    pub(super) fn bucket(&mut self, _: &str) -> Result<Arc<dyn BucketEngine>, String> {
        Err(super::built_without("s3"))
    }

    /// These secrets of Secrets Manager: by the id that they go by, and what they are told under.
    #[cfg(feature = "secrets-manager")]
    pub(super) fn secrets(&mut self, told: &[Told]) -> Result<Arc<dyn SecretEngine>, String> {
        self.kept_by::<crate::engines::secrets_manager::Manager>(told)
    }

    #[cfg(not(feature = "secrets-manager"))]
    pub(super) fn secrets(&mut self, _: &[Told]) -> Result<Arc<dyn SecretEngine>, String> {
        Err(super::built_without("secrets-manager"))
    }

    /// These of Parameter Store.
    #[cfg(feature = "parameter-store")]
    pub(super) fn parameters(&mut self, told: &[Told]) -> Result<Arc<dyn SecretEngine>, String> {
        self.kept_by::<crate::engines::parameter_store::Parameters>(told)
    }

    #[cfg(not(feature = "parameter-store"))]
    pub(super) fn parameters(&mut self, _: &[Told]) -> Result<Arc<dyn SecretEngine>, String> {
        Err(super::built_without("parameter-store"))
    }

    #[cfg(any(feature = "parameter-store", feature = "secrets-manager"))]
    fn kept_by<K: Keeper>(&mut self, told: &[Told]) -> Result<Arc<dyn SecretEngine>, String> {
        let mut secrets = Secrets::<K>::new(&self.account()?).map_err(|error| error.to_string())?;
        for (secret, known, id) in told {
            secrets = secrets.secret(secret, &self.name(*known, id)?);
        }
        Ok(Arc::new(secrets))
    }

    /// Whoever hands on what an outbox holds sends to all that it is told of, whoever put it there.
    pub(super) fn hands_on(&mut self) {
        let Ok(known) = &self.known else { return };
        let all = |kind| known.ids(kind).filter_map(move |id| Some((id.to_owned(), known.get(kind, id)?.to_owned())));
        self.queues.extend(all(Known::Queue));
        self.topics.extend(all(Known::Topic));
    }

    /// What sends to its queues and topics and keeps what is given up; `None` if it has none of them.
    pub(super) fn messaging(&mut self) -> Result<Option<Arc<dyn Messaging>>, String> {
        let known = self.known.clone().unwrap_or_default();
        let letter = |id: &str| Some((id.to_owned(), known.get(Known::DeadLetters, id)?.to_owned()));
        let letters: BTreeMap<String, String> = known.ids(Known::DeadLetters).filter_map(letter).collect();
        let unsent = known.ids(Known::Unsent).next().and_then(|app| known.get(Known::Unsent, app));
        let has_queues = !self.queues.is_empty() || !letters.is_empty() || unsent.is_some();
        let queues = if has_queues { Some(self.sqs(&letters, unsent)?) } else { None };
        let topics = if self.topics.is_empty() { None } else { Some(self.sns()?) };
        if queues.is_none() && topics.is_none() {
            return Ok(None);
        }
        Ok(Some(Arc::new(senders::Senders { queues, topics })))
    }

    #[cfg(feature = "sqs")]
    fn sqs(&mut self, letters: &BTreeMap<String, String>, unsent: Option<&str>) -> Result<Arc<dyn Messaging>, String> {
        let queues = crate::engines::sqs::SqsQueues::new(&self.account()?).map_err(|error| error.to_string())?;
        let queues = queues.unsent(unsent);
        let queues = self.queues.iter().fold(queues, |queues, (id, url)| queues.queue(id, url));
        Ok(Arc::new(letters.iter().fold(queues, |queues, (handler, url)| queues.dead_letters(handler, url))))
    }

    #[cfg(not(feature = "sqs"))]
    fn sqs(&mut self, _: &BTreeMap<String, String>, _: Option<&str>) -> Result<Arc<dyn Messaging>, String> {
        Err(super::built_without("sqs"))
    }

    #[cfg(feature = "sns")]
    fn sns(&mut self) -> Result<Arc<dyn Messaging>, String> {
        let topics = crate::engines::sns::SnsTopics::new(&self.account()?).map_err(|error| error.to_string())?;
        Ok(Arc::new(self.topics.iter().fold(topics, |topics, (id, arn)| topics.topic(id, arn))))
    }

    #[cfg(not(feature = "sns"))]
    fn sns(&mut self) -> Result<Arc<dyn Messaging>, String> {
        Err(super::built_without("sns"))
    }
}

fn read(json: &str) -> Result<Resources, String> {
    serde_json::from_str(json).map_err(|error| format!("{RESOURCES_VARIABLE} can't be read: {error}"))
}

mod senders {
    use crate::deadletter::DeadLetter;
    use crate::engine::{BoxFuture, Channel, EngineError, EngineResult, Message, Messaging};
    use std::sync::Arc;
    use std::time::Duration;

    /// Queues are one service, topics another.
    pub(super) struct Senders {
        pub(super) queues: Option<Arc<dyn Messaging>>,
        pub(super) topics: Option<Arc<dyn Messaging>>,
    }

    fn none<T: Send + 'static>(what: String) -> BoxFuture<'static, EngineResult<T>> {
        Box::pin(async { Err(EngineError::Misconfigured(what)) })
    }

    impl Messaging for Senders {
        fn publish(
            &self,
            channel: Channel,
            messages: Vec<Message>,
            delay: Duration,
        ) -> BoxFuture<'_, EngineResult<()>> {
            let sender = match channel {
                Channel::Queue(_) => &self.queues,
                Channel::Topic(_) => &self.topics,
            };
            match sender {
                Some(sender) => sender.publish(channel, messages, delay),
                None => none(format!("this unit has no way to {channel:?}")),
            }
        }

        fn give_up(&self, letter: DeadLetter) -> BoxFuture<'_, EngineResult<bool>> {
            match &self.queues {
                Some(queues) => queues.give_up(letter),
                None => none(format!("no queue is known for what `{}` gives up", letter.handler)),
            }
        }
    }
}

#[cfg(all(test, feature = "sqs"))]
mod tests {
    use super::*;

    /// Whether a unit that is told of this keeps and sends messages.
    fn has_messaging(resources: &str) -> bool {
        let account = crate::engines::aws::Account::in_region("eu-central-1").expect("an account");
        let (queues, topics) = (BTreeMap::new(), BTreeMap::new());
        let mut aws = Aws { known: read(resources), account: Some(account), queues, topics };
        aws.messaging().expect("an engine").is_some()
    }

    #[test]
    fn whoever_is_told_of_a_queue_has_messaging() {
        assert!(!has_messaging("{}"));
        assert!(!has_messaging(r#"{"store/stock": "t"}"#));
        assert!(has_messaging(r#"{"dead-letters/shop::ship": "https://sqs/1/letters"}"#));
        assert!(has_messaging(r#"{"unsent/shop": "https://sqs/1/unsent"}"#));
    }
}
