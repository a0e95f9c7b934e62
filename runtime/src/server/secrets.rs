//! Secrets as mounted files, `<folder>/<id>/value`, read at each use: a rotated value needs no restart. Where there is no
//! file, the environment.

use crate::engine::{BoxFuture, EngineError, EngineResult, SecretEngine};
use std::io::ErrorKind;
use std::path::PathBuf;
use updraft_wire::ids::secret_variable;

/// The mounted secrets.
pub(crate) struct SecretFiles {
    folder: PathBuf,
}

impl SecretFiles {
    /// Secrets under `folder`.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        SecretFiles { folder: folder.into() }
    }

    fn path(&self, secret: &str) -> PathBuf {
        self.folder.join(secret).join("value")
    }

    /// A line end that an editor or `echo` put after the value does not count. (Mounted secrets lie in memory: reading one
    /// takes less time than handing it to another thread would.)
    fn read(&self, secret: &str) -> EngineResult<Option<String>> {
        let path = self.path(secret);
        match std::fs::read_to_string(&path) {
            Ok(value) => {
                let value = value
                    .strip_suffix('\n')
                    .map(|value| value.strip_suffix('\r').unwrap_or(value).to_owned())
                    .unwrap_or(value);
                Ok(Some(value))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(std::env::var(secret_variable(secret)).ok())
            }
            Err(error) => {
                Err(EngineError::Unavailable(format!("the secret `{secret}` at {}: {error}", path.display())))
            }
        }
    }
}

impl SecretEngine for SecretFiles {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(std::future::ready(self.read(secret)))
    }

    fn how_to_provide(&self, secret: &str) -> String {
        format!("mount it at {} or set {}", self.path(secret).display(), secret_variable(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_read_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = SecretFiles::new(folder.path());
        let get = || async { secrets.get("mailer-key").await.expect("readable") };
        assert_eq!(get().await, None);
        std::fs::create_dir(folder.path().join("mailer-key")).expect("a folder");
        for (written, read) in
            [("one", "one"), ("two\n", "two"), ("three\r\n", "three"), ("a\nb\n\n", "a\nb\n"), ("", "")]
        {
            std::fs::write(folder.path().join("mailer-key/value"), written).expect("written");
            assert_eq!(get().await.as_deref(), Some(read));
        }
        std::fs::write(folder.path().join("mailer-key/value"), [0xff]).expect("written");
        assert!(secrets.get("mailer-key").await.is_err());
        assert!(secrets.how_to_provide("mailer-key").contains("UPDRAFT_SECRET_MAILER_KEY"));
    }
}
