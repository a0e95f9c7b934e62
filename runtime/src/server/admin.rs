//! Dead letters in a cluster, looked after by a job of the same image: `UPDRAFT_DEAD_LETTERS` says what to do as JSON, and the
//! answer is one line of JSON among the log's, `{"dead_letters": {"ok": …}}` or `{"dead_letters": {"error": "…"}}`.
//!
//! ```text
//! {"do":"list", …}      a page of summaries          {"letters":[…],"next":"…"}
//! {"do":"show", …}      one letter, whole            {"id":…,"body":"<base64>",…}
//! {"do":"redrive", …}   to their handlers again      {"done":1,"failed":[…],"next":"…"}
//! {"do":"drop", …}      forgotten                    the same
//! ```
//!
//! `…` are the members of a [`Selection`]. A letter is redriven by a request to its handler's own path, and removed once that
//! has accepted the message; what fails stays as it was.

use crate::deadletter::DeadLetter;
use crate::engine::{Expect, StoreEngine};
use crate::registry;
use crate::selection::{Command, Done, Letters, Picker, Selection};
use crate::server::binding::Face;
use crate::server::client::{self, Client};
use crate::server::engines::{self, DEAD_LETTERS};
use crate::server::events::Told;
use crate::server::{cloudevent, ready};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use updraft_wire::binding::Binding;
use updraft_wire::envelope;
use updraft_wire::ids::event_path;

/// How long the store may take to be reached.
const REACH_TIMEOUT: Duration = Duration::from_secs(60);
/// Beyond its handler's time, what a redriven message may take: its unit may have to start.
const START_GRACE: Duration = Duration::from_secs(60);
/// Letters that are redriven at the same time.
const AT_ONCE: usize = 8;
/// Entries that the store is asked for at a time.
const STRIDE: usize = 100;

/// Does what `command` says and prints the answer.
///
/// # Errors
/// Why it could not be done; that has been printed, too.
pub(crate) async fn run(binding: &Binding, command: &str) -> Result<(), String> {
    let outcome = obey(binding, command).await;
    let answer = match &outcome {
        Ok(value) => json!({ "dead_letters": { "ok": value } }),
        Err(error) => json!({ "dead_letters": { "error": error } }),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}").and_then(|()| out.flush()).map_err(|error| format!("can't print: {error}"))?;
    outcome.map(|_| ())
}

async fn obey(binding: &Binding, command: &str) -> Result<Value, String> {
    let command: Command = serde_json::from_str(command).map_err(|error| format!("no command: {error}"))?;
    let client = Client::new();
    let equipment = engines::equip(binding, &[], (Face::Internal, true), &client).await;
    let equipment = equipment.map_err(|problems| problems.join("; "))?;
    let store = equipment.dead_letters.ok_or("the binding names no engine for dead letters")?;
    match tokio::time::timeout(REACH_TIMEOUT, ready::reach(equipment.probes)).await {
        Ok(reached) => reached?,
        Err(_) => {
            return Err(format!("the store of dead letters can't be reached within {}s", REACH_TIMEOUT.as_secs()));
        }
    }
    let keeper = Keeper { binding, store, client };
    let value = match command {
        Command::List(selection) => {
            let (picked, next) = keeper.pick(&selection).await?.page();
            serde_json::to_value(Letters { letters: picked.into_values().collect(), next })
        }
        Command::Show(selection) => return keeper.show(&selection).await,
        Command::Redrive(selection) => serde_json::to_value(keeper.redrive(&selection).await?),
        Command::Drop(selection) => serde_json::to_value(keeper.drop(&selection).await?),
    };
    value.map_err(|error| error.to_string())
}

struct Keeper<'a> {
    binding: &'a Binding,
    store: Arc<dyn StoreEngine>,
    client: Client,
}

impl Keeper<'_> {
    /// A page of letters. The store has no order, so all letters of the handler (or of all) are looked at.
    async fn pick<'a>(&self, selection: &'a Selection) -> Result<Picker<'a>, String> {
        let prefix = selection.handler.as_ref().map(|handler| format!("{handler}/")).unwrap_or_default();
        let mut picker = Picker::new(selection, Timestamp::now());
        let mut from = None;
        loop {
            let page = self.store.scan(DEAD_LETTERS, prefix.as_bytes(), from, STRIDE).await;
            let page = page.map_err(|error| error.to_string())?;
            for (key, entry) in page.items {
                match serde_json::from_slice::<DeadLetter>(&entry.value) {
                    Ok(letter) => picker.look(&letter),
                    Err(error) => {
                        let key = String::from_utf8_lossy(&key).into_owned();
                        tracing::error!(key, %error, "a dead letter that can't be read");
                    }
                }
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(picker),
            }
        }
    }

    async fn show(&self, selection: &Selection) -> Result<Value, String> {
        let (key, _) = self.pick(selection).await?.only()?;
        let (letter, _) = self.letter(&key).await?.ok_or("the dead letter has just gone")?;
        serde_json::to_value(letter).map_err(|error| error.to_string())
    }

    async fn letter(&self, key: &str) -> Result<Option<(DeadLetter, u64)>, String> {
        let entry = self.store.get(DEAD_LETTERS, key.as_bytes()).await.map_err(|error| error.to_string())?;
        let read = |entry: crate::engine::Entry| {
            let letter = serde_json::from_slice(&entry.value).map_err(|error| error.to_string())?;
            Ok::<_, String>((letter, entry.version))
        };
        entry.map(read).transpose()
    }

    async fn drop(&self, selection: &Selection) -> Result<Done, String> {
        self.each(selection, async |key: &str| {
            let dropped = self.store.delete(DEAD_LETTERS, key.as_bytes(), Expect::Anything).await;
            dropped.map(|_| ()).map_err(|error| error.to_string())
        })
        .await
    }

    async fn redrive(&self, selection: &Selection) -> Result<Done, String> {
        self.each(selection, async |key: &str| {
            // One that is gone was redriven or dropped by somebody else.
            let Some((letter, version)) = self.letter(key).await? else { return Ok(()) };
            self.deliver(&letter).await?;
            let removed = self.store.delete(DEAD_LETTERS, key.as_bytes(), Expect::Version(version)).await;
            removed.map(|_| ()).map_err(|error| format!("it was handled, but the letter is still there: {error}"))
        })
        .await
    }

    async fn each(&self, selection: &Selection, act: impl AsyncFn(&str) -> Result<(), String>) -> Result<Done, String> {
        let (picked, next) = self.pick(selection).await?.chosen()?;
        let act = &act;
        let acted = picked.into_iter().map(|(key, summary)| async move {
            let outcome = act(&key).await;
            (summary, outcome)
        });
        let acted: Vec<_> = stream::iter(acted).buffered(AT_ONCE).collect().await;
        let mut done = Done { next, ..Done::default() };
        for (letter, outcome) in acted {
            done.count(letter, outcome);
        }
        Ok(done)
    }

    /// Hands the message to the handler that gave it up, once. No answer but acceptance removes the letter.
    async fn deliver(&self, letter: &DeadLetter) -> Result<(), String> {
        let handler = &letter.handler;
        let mut units = self.binding.units.values().filter(|unit| unit.handlers.contains(handler));
        let origin = units.find_map(|unit| unit.events_url.as_deref());
        let origin = origin.ok_or_else(|| format!("no unit of this deployment takes messages for `{handler}`"))?;
        let url = client::url(&format!("{origin}{}", event_path(handler)))?;
        let known = registry::HANDLERS.iter().find(|known| known.id == handler.as_str());
        let timeout = known.map_or(Duration::ZERO, |handler| Duration::from_millis(handler.timeout_millis));
        let mut headers = match letter.headers.get(envelope::TYPE).filter(|event_type| !event_type.is_empty()) {
            Some(event_type) => cloudevent::headers(event_type, &letter.message()),
            None => as_they_came(&letter.headers),
        };
        headers.insert(HeaderName::from_static(envelope::REDRIVE), HeaderValue::from_static("1"));
        let answer = self.client.post(&url, headers, letter.body.clone(), timeout + START_GRACE).await;
        match answer {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, text)) => Err(match serde_json::from_str::<Told>(&text) {
                Ok(Told { kind, reason }) => format!("{kind}: {reason}"),
                Err(_) => format!("its unit answered {status}: {text}"),
            }),
            Err(reason) => Err(format!("its unit: {reason}")),
        }
    }
}

/// The headers of something that was no event.
fn as_they_came(headers: &BTreeMap<String, String>) -> HeaderMap {
    let pair = |(name, value): (&String, &String)| Some((name.parse().ok()?, value.parse().ok()?));
    headers.iter().filter_map(pair).collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect()
}
