//! What was deployed when: a record of each deployment, beside the code. What is live is the stack's to say; records add what
//! it can't hold.

use crate::error::{Error, Result};
use crate::parts::{Part, hashes};
use crate::stack::{Release, Target};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use updraft_model::App;

/// The version of [`Record`]'s form.
const FORMAT: u32 = 1;

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// Of what was deployed.
    pub version: String,
    /// When, in RFC 3339.
    pub time: String,
    /// The ARN of who did.
    pub who: String,
    /// `deploy` or `rollback`.
    pub by: String,
    /// The template's key.
    pub template_key: String,
    /// The code's, or its image's address.
    pub code_key: String,
    /// How it ended; `None` while it is under way, or if nobody waited for it.
    pub outcome: Option<Ending>,
    /// The application.
    pub app: App,
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It went live.
    Deployed,
    /// It did not, for this reason.
    Failed(String),
}

/// Where a record is, which says half of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When it was written last: as it ended, or began. S3's clock, since runs on several machines have several.
    written: Timestamp,
    /// Milliseconds since 1970 as it began, by the clock of who began it.
    pub millis: u64,
    /// Of what was deployed.
    pub version: String,
    key: String,
}

impl Target {
    fn records(&self) -> String {
        format!("{}/stacks/{}/", self.app, self.stack)
    }

    /// All deployments, the oldest first; none if there is no bucket.
    ///
    /// # Errors
    /// AWS's.
    pub async fn history(&self) -> Result<Vec<Entry>> {
        let keys = match self.storage().list(&self.records()).await {
            Err(Error::Refused(refusal)) if refusal.code == "NoSuchBucket" => return Ok(Vec::new()),
            keys => keys?,
        };
        let mut entries: Vec<Entry> = keys.into_iter().filter_map(|(key, written)| entry(key, written)).collect();
        entries.sort();
        Ok(entries)
    }

    /// All that is kept of a deployment; `None` if it is gone, or of a form that only a later Updraft reads.
    ///
    /// # Errors
    /// AWS's.
    pub async fn record(&self, entry: &Entry) -> Result<Option<Record>> {
        let bytes = self.storage().get(&entry.key).await?;
        let record = bytes.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        Ok(record.filter(|record| record.format == FORMAT))
    }

    /// The newest record of a version that can be read.
    ///
    /// # Errors
    /// AWS's.
    pub async fn recorded(&self, version: &str) -> Result<Option<(Entry, Record)>> {
        for entry in self.history().await?.into_iter().rev().filter(|entry| entry.version == version) {
            if let Some(record) = self.record(&entry).await? {
                return Ok(Some((entry, record)));
            }
        }
        Ok(None)
    }

    /// The record of what is live. If nobody saw its deployment to its end, or something failed when it was live already, that it
    /// ended well is written down now: what comes after it could not be told from what failed.
    ///
    /// # Errors
    /// AWS's.
    pub async fn recorded_live(&self, version: &str) -> Result<Option<Record>> {
        let Some((entry, record)) = self.recorded(version).await? else { return Ok(None) };
        if record.outcome != Some(Ending::Deployed) {
            self.end(&entry, &record, Ending::Deployed).await?;
        }
        Ok(Some(record))
    }

    /// Writes down that a release is about to be deployed, before it is: whoever comes after a run that was interrupted knows
    /// what it was about.
    ///
    /// # Errors
    /// AWS's.
    pub async fn begin(&self, release: &Release, app: &App, by: &str) -> Result<(Entry, Record)> {
        let now = Timestamp::now();
        let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let record = Record {
            format: FORMAT,
            version: release.version.clone(),
            time: seconds(now),
            who: self.account.arn.clone(),
            by: by.to_owned(),
            template_key: release.template_key.clone(),
            code_key: release.code_key.clone(),
            outcome: None,
            app: app.clone(),
        };
        let key = format!("{}{millis:013}-{}.json", self.records(), record.version);
        let entry = Entry { written: now, millis, version: record.version.clone(), key };
        self.write(&entry, &record).await?;
        Ok((entry, record))
    }

    /// Writes down how it ended.
    ///
    /// # Errors
    /// AWS's.
    pub async fn end(&self, entry: &Entry, record: &Record, ending: Ending) -> Result<()> {
        self.write(entry, &Record { outcome: Some(ending), ..record.clone() }).await
    }

    async fn write(&self, entry: &Entry, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record).map_err(|error| Error::ChangeSet { reason: error.to_string() })?;
        self.storage().put(&entry.key, "application/json", Bytes::from(text)).await
    }

    /// A release that was deployed before.
    ///
    /// # Errors
    /// AWS's; [`Error::Gone`] if its template or code is kept no more.
    pub async fn release_of(&self, record: &Record) -> Result<Release> {
        let gone = |key: &str| Error::Gone {
            version: record.version.clone(),
            bucket: self.bucket.clone(),
            key: key.to_owned(),
        };
        let template = self.storage().get(&record.template_key).await?;
        let template = template.ok_or_else(|| gone(&record.template_key))?;
        let template: Value = serde_json::from_slice(&template).map_err(|_| gone(&record.template_key))?;
        self.is_kept(&record.code_key, &record.version).await?;
        let mut parts = Vec::new();
        for (name, hash) in hashes(&template) {
            let template_key = self.part_key(&hash);
            let text = self.storage().get(&template_key).await?.ok_or_else(|| gone(&template_key))?;
            let template = serde_json::from_slice(&text).map_err(|_| gone(&template_key))?;
            parts.push(Part { name, template, template_key });
        }
        Ok(Release {
            template,
            template_key: record.template_key.clone(),
            code_key: record.code_key.clone(),
            version: record.version.clone(),
            parts,
        })
    }
}

/// `shop/stacks/shop/1700000000000-0123456789ab.json`.
fn entry(key: String, written: Timestamp) -> Option<Entry> {
    let (_, name) = key.rsplit_once('/')?;
    let (millis, version) = name.strip_suffix(".json")?.split_once('-')?;
    Some(Entry { written, millis: millis.parse().ok()?, version: version.to_owned(), key })
}

/// To the second.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// What a version is called in a range of them: the one before what is live, or one that is named by its beginning.
///
/// `past` are versions that went live, the oldest first.
///
/// # Errors
/// In words, if there is none or more than one.
pub fn choose<'a>(past: &'a [String], live: &str, named: Option<&str>) -> Result<&'a str, String> {
    match named {
        None => {
            let at = past.iter().rposition(|version| version == live).unwrap_or(past.len());
            let before = past[..at].iter().rev().find(|version| *version != live);
            before.map(String::as_str).ok_or_else(|| "there is no earlier version".to_owned())
        }
        Some(named) => {
            let mut fit: Vec<&String> = past.iter().filter(|version| version.starts_with(named)).collect();
            fit.sort();
            fit.dedup();
            match fit[..] {
                [one] => Ok(one),
                [] => Err(format!("no version that went live begins with `{named}`")),
                _ => Err(format!("several versions begin with `{named}`")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_entries() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let read = entry("shop/stacks/shop-prod/1700000000000-0123456789ab.json".to_owned(), at(1)).unwrap();
        assert_eq!((read.millis, &*read.version), (1_700_000_000_000, "0123456789ab"));
        for other in ["shop/1.zip", "shop/stacks/shop/notes.json", "shop/stacks/shop/x-1.json"] {
            assert_eq!(entry(other.to_owned(), at(1)), None, "{other}");
        }
        // A clock that is wrong puts nothing before what it comes after.
        let late = entry("shop/stacks/shop-prod/1600000000000-0123456789ac.json".to_owned(), at(2)).unwrap();
        assert!(read < late);
    }

    #[test]
    fn the_one_before_and_the_one_that_is_named() {
        let past: Vec<String> = ["a1", "b1", "b2", "a1"].map(str::to_owned).into();
        assert_eq!(choose(&past, "a1", None), Ok("b2"));
        assert_eq!(choose(&past[..3], "b2", None), Ok("b1"));
        assert_eq!(choose(&past, "unknown", None), Ok("a1"));
        assert!(choose(&past[..1], "a1", None).is_err());
        assert_eq!(choose(&past, "a1", Some("b2")), Ok("b2"));
        assert_eq!(choose(&past, "b2", Some("a")), Ok("a1"));
        assert!(choose(&past, "a1", Some("b")).unwrap_err().contains("several"));
        assert!(choose(&past, "a1", Some("c")).unwrap_err().contains("no version"));
    }
}
