//! Secrets on a laptop: the environment, else the git-ignored file beside `Updraft.toml`, else `[dev.secrets]`.

use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};
use crate::registry::RESOURCES;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use updraft_wire::ids::secret_variable;

/// The file's name.
pub const FILE: &str = "updraft.secrets.toml";

/// An empty or malformed file that is younger is being written: it is read again.
const SETTLED: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Secrets on a laptop. The file is read at each use, so that a changed value needs no restart.
#[derive(Debug)]
pub struct LocalSecrets {
    path: PathBuf,
    defaults: BTreeMap<String, String>,
}

impl LocalSecrets {
    /// Of the file in `folder` and of `[dev.secrets]`.
    pub fn new(folder: &Path, defaults: BTreeMap<String, String>) -> Self {
        LocalSecrets { path: folder.join(FILE), defaults }
    }

    fn find(&self, secret: &str) -> Result<Option<String>, String> {
        self.find_in(secret, || read(&self.path))
    }

    fn find_in(
        &self,
        secret: &str,
        file: impl FnOnce() -> Result<BTreeMap<String, String>, String>,
    ) -> Result<Option<String>, String> {
        if let Ok(value) = std::env::var(secret_variable(secret)) {
            return Ok(Some(value));
        }
        let found = file()?.remove(secret).filter(|value| !value.is_empty());
        Ok(found.or_else(|| self.defaults.get(secret).cloned()))
    }

    /// What the file holds, once whoever is writing it has done so: many editors empty a file before they fill it.
    async fn settled(&self) -> Result<BTreeMap<String, String>, String> {
        loop {
            let text = text(&self.path)?;
            let held = text.as_deref().map_or_else(|| Ok(BTreeMap::new()), |text| parse(&self.path, text));
            let whole = held.is_ok() && text.is_none_or(|text| !text.is_empty());
            if whole || !self.is_fresh() {
                return held;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether somebody wrote the file just now.
    fn is_fresh(&self) -> bool {
        let written = std::fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age < SETTLED))
    }

    /// Whether every secret of this program that it can't run without has a value. If one has none, a sample of the file is
    /// written, or the one that is there completed.
    ///
    /// # Errors
    /// Each that has none, with both ways to provide it; or that the file can't be read.
    pub fn require(&self) -> Result<(), Vec<String>> {
        let ids: BTreeSet<_> = RESOURCES
            .iter()
            .filter(|resource| resource.kind == "secret" && !is_optional(resource))
            .map(|r| r.id)
            .collect();
        self.require_all(&ids)
    }

    fn require_all(&self, ids: &BTreeSet<&'static str>) -> Result<(), Vec<String>> {
        let mut missing = Vec::new();
        for id in ids {
            match self.find(id) {
                Ok(Some(_)) => {}
                Ok(None) => missing.push(*id),
                Err(reason) => return Err(vec![reason]),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let sample = self.write_sample(&missing);
        let mut problems: Vec<_> = missing
            .iter()
            .map(|id| format!("the secret `{id}` has no value\nhelp: {}", self.how_to_provide(id)))
            .collect();
        if let Err(error) = sample {
            problems.push(format!("{} can't be written: {error}", self.path.display()));
        }
        Err(problems)
    }

    /// Adds the missing ones with empty values. Only the owner may read the file.
    fn write_sample(&self, missing: &[&str]) -> std::io::Result<()> {
        let known = read(&self.path).map_err(std::io::Error::other)?;
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let is_new = !self.path.exists();
        let mut file = options.open(&self.path)?;
        if is_new {
            writeln!(file, "# Values of secrets, for this machine only: keep it out of version control.")?;
        }
        for id in missing.iter().filter(|id| !known.contains_key(**id)) {
            writeln!(file, "{id} = \"\"")?;
        }
        file.sync_all()
    }
}

fn is_optional(resource: &crate::registry::Resource) -> bool {
    let descriptors = updraft_wire::descriptor::decode(resource.descriptor).unwrap_or_default();
    descriptors.iter().any(|descriptor| descriptor.options.get("optional").is_some_and(|optional| optional == "true"))
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, String> {
    text(path)?.map_or_else(|| Ok(BTreeMap::new()), |text| parse(path, &text))
}

/// `None` if there is no such file.
fn text(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} can't be read: {error}", path.display())),
    }
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<String, String>, String> {
    // The message of a TOML error quotes the line, which may hold a secret: say only where.
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        format!("{}, line {line}: a line there is not of the form `name = \"value\"`", path.display())
    })
}

impl SecretEngine for LocalSecrets {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async move {
            let file = match std::env::var_os(secret_variable(secret)) {
                Some(_) => Ok(BTreeMap::new()),
                None => self.settled().await,
            };
            self.find_in(secret, || file).map_err(EngineError::Misconfigured)
        })
    }

    fn how_to_provide(&self, secret: &str) -> String {
        format!(
            "set it in {} (`{secret} = \"…\"`) or in the environment ({}=…)",
            self.path.display(),
            secret_variable(secret)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_file_wins_over_defaults_and_its_empty_values_count_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let defaults = BTreeMap::from([("a-key".to_owned(), "default".to_owned())]);
        let secrets = LocalSecrets::new(folder.path(), defaults);
        assert_eq!(secrets.find("a-key").unwrap().as_deref(), Some("default"));
        std::fs::write(folder.path().join(FILE), "a-key = \"\"\n").unwrap();
        assert_eq!(secrets.find("a-key").unwrap().as_deref(), Some("default"));
        std::fs::write(folder.path().join(FILE), "a-key = \"mine\"\n").unwrap();
        assert_eq!(secrets.find("a-key").unwrap().as_deref(), Some("mine"));
    }

    #[test]
    fn a_missing_one_names_both_ways_and_leaves_a_sample() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "other = \"kept\"\n").unwrap();
        let secrets = LocalSecrets::new(folder.path(), BTreeMap::new());
        let [problem] = secrets.require_all(&BTreeSet::from(["other", "mailer-key"])).unwrap_err().try_into().unwrap();
        assert!(problem.contains(FILE) && problem.contains("UPDRAFT_SECRET_MAILER_KEY"), "{problem}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other = \"kept\"\nmailer-key = \"\"\n");
        secrets.require_all(&BTreeSet::from(["mailer-key"])).unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap().matches("mailer-key").count(), 1, "completed once");
    }

    #[tokio::test]
    async fn who_reads_while_it_is_written_gets_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let defaults = BTreeMap::from([("a-key".to_owned(), "default".to_owned())]);
        let secrets = LocalSecrets::new(folder.path(), defaults);
        for half in ["", "# mine\na-key = \"tw"] {
            // An editor that empties the file before it fills it.
            std::fs::write(&path, half).unwrap();
            let mut reading = secrets.get("a-key");
            assert!((&mut reading).now_or_never().is_none(), "{half:?} is no whole file yet");
            std::fs::write(&path, "# mine\na-key = \"two\"\n").unwrap();
            assert_eq!(reading.await.unwrap().as_deref(), Some("two"));
        }
        // Empty for good.
        std::fs::write(&path, "").unwrap();
        assert_eq!(secrets.get("a-key").await.unwrap().as_deref(), Some("default"));
    }

    #[cfg(unix)]
    #[test]
    fn a_new_sample_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let secrets = LocalSecrets::new(folder.path(), BTreeMap::new());
        secrets.require_all(&BTreeSet::from(["k"])).unwrap_err();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_malformed_file_never_shows_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "a = \"x\"\nkey = hunter2\n").unwrap();
        let error = LocalSecrets::new(folder.path(), BTreeMap::new()).find("key").unwrap_err();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    }
}
