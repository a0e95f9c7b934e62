//! Secrets that a service of AWS keeps. Values are kept for a while: each question costs, in money and in milliseconds.

use super::{Account, Repeat, Service};
use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long a value is kept: so long a rotated one may take to be known.
pub const KEPT: Duration = Duration::from_secs(60);

/// The JSON that both services speak.
const JSON: &str = "application/x-amz-json-1.1";

/// A service that keeps secrets: how it is asked, and how its answers read.
pub trait Keeper: Send + Sync + 'static {
    /// As signatures name it.
    const SERVICE: &'static str;
    /// What it is asked.
    const OPERATION: &'static str;
    /// The code under which it says that there is no value.
    const MISSING: &'static str;
    /// What a secret is there.
    const CALLED: &'static str;

    /// Asks for the value of the secret at this address, which is a name or an ARN.
    fn question(address: &str) -> Value;

    /// The text in its answer; `None` if that holds none.
    fn text(answer: &Value) -> Option<SecretString>;

    /// What gives the secret at this address a value.
    fn command(address: &str) -> String;
}

/// Secrets. A value is asked for anew after [`KEPT`].
pub struct Secrets<K> {
    service: Service,
    secrets: BTreeMap<String, Kept>,
    kept: Duration,
    keeper: PhantomData<K>,
}

impl<K: Keeper> Secrets<K> {
    /// Without secrets; nothing is reached yet.
    ///
    /// # Errors
    /// If the account's address can be none.
    pub fn new(account: &Account) -> EngineResult<Self> {
        let service = account.service(K::SERVICE)?;
        Ok(Secrets { service, secrets: BTreeMap::new(), kept: KEPT, keeper: PhantomData })
    }

    /// With the secret `id` at this address: a name, or an ARN where secrets have one.
    #[must_use]
    pub fn secret(mut self, id: &str, address: &str) -> Self {
        self.secrets.insert(id.to_owned(), Kept::at(address));
        self
    }

    /// Whose values are kept so long.
    #[must_use]
    pub fn kept(self, kept: Duration) -> Self {
        Secrets { kept, ..self }
    }

    async fn ask(&self, id: &str, address: &str) -> EngineResult<Option<SecretString>> {
        let answer = match self.service.json(K::OPERATION, JSON, &K::question(address), Repeat::Always).await? {
            Ok(answer) => answer,
            Err(failure) if failure.code == K::MISSING => return Ok(None),
            Err(failure) => return Err(failure.explained(&format!("the secret `{id}`"))),
        };
        let none = || EngineError::Misconfigured(format!("the secret `{id}` holds no text"));
        K::text(&answer).map(Some).ok_or_else(none)
    }
}

impl<K: Keeper> SecretEngine for Secrets<K> {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async move {
            let Some(known) = self.secrets.get(secret) else { return Ok(None) };
            known.value(secret, self.kept, self.ask(secret, &known.address)).await
        })
    }

    fn how_to_provide(&self, secret: &str) -> String {
        match self.secrets.get(secret) {
            Some(known) => K::command(&known.address),
            None => format!("no {} is known for `{secret}`", K::CALLED),
        }
    }
}

/// A secret: where it is, and what it was.
struct Kept {
    /// An ARN or a name.
    address: String,
    /// Held while one asks, so that the others wait for the same answer.
    last: Mutex<Option<Last>>,
}

struct Last {
    value: Option<SecretString>,
    asked: Instant,
}

impl Kept {
    /// That nobody asked for yet.
    fn at(address: &str) -> Self {
        Kept { address: address.to_owned(), last: Mutex::new(None) }
    }

    /// Its value: the last one if that is not so old, else what is answered now.
    ///
    /// # Errors
    /// What is answered, unless it is that nobody answers, and a value is known.
    async fn value(
        &self,
        secret: &str,
        longest: Duration,
        ask: impl Future<Output = EngineResult<Option<SecretString>>>,
    ) -> EngineResult<Option<String>> {
        let mut last = self.last.lock().await;
        let value = |last: &Last| last.value.as_ref().map(|value| value.expose_secret().to_owned());
        // What has no value may be given one any time.
        if let Some(last) = last.as_ref().filter(|last| last.value.is_some() && last.asked.elapsed() < longest) {
            return Ok(value(last));
        }
        match (ask.await, last.as_ref()) {
            (Ok(found), _) => Ok(value(last.insert(Last { value: found, asked: Instant::now() }))),
            // Who can't be asked now has not said that it changed.
            (Err(EngineError::Unavailable(reason)), Some(old)) if old.value.is_some() => {
                tracing::warn!(secret, reason, "the last known value is used on");
                Ok(value(old))
            }
            (Err(error), _) => Err(error),
        }
    }
}
