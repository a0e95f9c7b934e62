//! Secrets as servers' credentials are kept in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use updraft::engine::{BoxFuture, EngineResult, SecretEngine};

/// Secrets that a test may rotate. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<BTreeMap<String, String>>>);

impl Secrets {
    /// With this one.
    pub fn with(id: &str, value: impl Into<String>) -> Self {
        let secrets = Secrets::default();
        secrets.set(id, value);
        secrets
    }

    /// Gives one a value, the first or another.
    ///
    /// # Panics
    /// If a test panicked meanwhile.
    pub fn set(&self, id: &str, value: impl Into<String>) {
        self.0.lock().expect("unpoisoned").insert(id.to_owned(), value.into());
    }
}

impl SecretEngine for Secrets {
    fn get<'a>(&'a self, secret: &'a str) -> BoxFuture<'a, EngineResult<Option<String>>> {
        Box::pin(async move { Ok(self.0.lock().expect("unpoisoned").get(secret).cloned()) })
    }

    fn how_to_provide(&self, secret: &str) -> String {
        format!("set {secret}")
    }
}
