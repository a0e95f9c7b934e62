//! Presigned URLs of a laptop: they lead to the application's own server. What one allows stands in it, as a token that is
//! signed with a key of the state directory.

use super::{Embedded, StateError};
use crate::engine::{EngineResult, Presign, check_blob_key};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use updraft_wire::ids::PRESIGNED_PATH;

/// The key's file in the state directory.
const FILE: &str = "presigned.key";
const KEY_BYTES: usize = 32;
/// Where the URLs lead as long as nobody has said where the server listens.
const NOWHERE: &str = "http://localhost";

/// What URLs are made with.
pub(super) struct Signer {
    key: [u8; KEY_BYTES],
    base: OnceLock<String>,
}

/// What a URL allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    #[serde(rename = "m")]
    pub(crate) method: String,
    #[serde(rename = "b")]
    pub(crate) bucket: String,
    #[serde(rename = "k")]
    pub(crate) key: String,
    /// The only content type that may be sent.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    /// From when on it is refused: microseconds since 1970.
    #[serde(rename = "e")]
    expires: i64,
}

impl Signer {
    /// With the directory's key, which is made if it isn't there.
    pub(super) fn open(directory: &Path) -> Result<Self, StateError> {
        let unwritable = |source| StateError::unwritable(directory, source);
        let path = directory.join(FILE);
        match fs::read(&path).map(<[u8; KEY_BYTES]>::try_from) {
            Ok(Ok(key)) => return Ok(Signer { key, base: OnceLock::new() }),
            Ok(Err(other)) => tracing::warn!(
                key = %path.display(),
                bytes = other.len(),
                "the key of presigned URLs is damaged: there is a new one, and earlier URLs are refused"
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(unwritable(source)),
        }
        let mut key = [0; KEY_BYTES];
        let (one, other) = key.split_at_mut(KEY_BYTES / 2);
        one.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        other.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        // In its place at once: a key that was half written would be another at the next start.
        let unnamed = path.with_extension("new");
        let _ = fs::remove_file(&unnamed);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unnamed);
        file.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all())).map_err(unwritable)?;
        fs::rename(&unnamed, &path).and_then(|()| fs::File::open(directory)?.sync_all()).map_err(unwritable)?;
        Ok(Signer { key, base: OnceLock::new() })
    }

    /// For tests, whose URLs are the same each time.
    pub(super) fn in_memory() -> Self {
        Signer { key: blake3::derive_key("updraft presigned URLs in memory", &[]), base: OnceLock::new() }
    }

    fn mac(&self, claim: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, claim.as_bytes())
    }

    fn token(&self, claim: &Claim) -> serde_json::Result<String> {
        let claim = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claim)?);
        let mac = self.mac(&claim).to_hex();
        Ok(format!("{claim}.{mac}"))
    }

    /// What a token that was signed here allows, expired or not.
    fn claim(&self, token: &str) -> Option<Claim> {
        let (claim, mac) = token.split_once('.')?;
        // The comparison takes the same time wherever they differ.
        if self.mac(claim) != blake3::Hash::from_hex(mac).ok()? {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claim).ok()?).ok()
    }
}

/// Why a token allows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// It was not made here, or not for this.
    Forged,
    /// Its time is over.
    Expired,
}

impl Embedded {
    /// Says where the server listens: what presigned URLs begin with from now on.
    pub(crate) fn listens_at(&self, base: &str) {
        let _ = self.0.signer.base.set(base.to_owned());
    }

    pub(super) fn presigned(&self, bucket: &str, key: &str, asked: &Presign<'_>) -> EngineResult<String> {
        check_blob_key(key)?;
        let expires = self.now().saturating_add(asked.lifetime).unwrap_or(Timestamp::MAX).as_microsecond();
        let claim = Claim {
            method: asked.method.to_string(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            content_type: asked.content_type.map(str::to_owned),
            expires,
        };
        let signer = &self.0.signer;
        let token = signer.token(&claim).map_err(|error| crate::engine::EngineError::Other(error.into()))?;
        let base = signer.base.get().map_or(NOWHERE, String::as_str);
        Ok(format!("{base}{PRESIGNED_PATH}{token}"))
    }

    /// What a token allows a request of this method to do.
    pub(crate) fn allowed(&self, token: &str, method: &Method) -> Result<Claim, Forbidden> {
        let claim = self.0.signer.claim(token).filter(|claim| claim.method == method.as_str());
        let claim = claim.ok_or(Forbidden::Forged)?;
        if claim.expires <= self.now().as_microsecond() {
            return Err(Forbidden::Expired);
        }
        Ok(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::embedded::Topology;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn presign(engine: &Embedded, method: Method, key: &str) -> String {
        let asked = Presign { method, lifetime: MINUTE, content_type: None };
        let url = engine.presigned("b", key, &asked).unwrap();
        url.strip_prefix("http://localhost/_updraft/presigned/").unwrap().to_owned()
    }

    #[test]
    fn a_token_allows_what_it_was_made_for_and_nothing_else() {
        let clock = ManualClock::new(Timestamp::now());
        let engine = Embedded::in_memory(Topology::default(), Arc::new(clock.clone())).unwrap();
        let token = presign(&engine, Method::GET, "a/ü b");
        let claim = engine.allowed(&token, &Method::GET).unwrap();
        assert_eq!((&*claim.bucket, &*claim.key), ("b", "a/ü b"));
        for method in [Method::PUT, Method::HEAD, Method::DELETE] {
            assert_eq!(engine.allowed(&token, &method), Err(Forbidden::Forged), "{method}");
        }
        let (claimed, mac) = token.split_once('.').unwrap();
        let other = presign(&engine, Method::GET, "other");
        let other = other.split_once('.').unwrap().0;
        for forged in ["", ".", claimed, &format!("{other}.{mac}"), &format!("{claimed}.{}", "0".repeat(64)), "ü.ü"] {
            assert_eq!(engine.allowed(forged, &Method::GET), Err(Forbidden::Forged), "{forged}");
        }
        // Whichever letter is another one.
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(engine.allowed(&forged, &Method::GET), Err(Forbidden::Forged), "{at}");
        }
        engine.listens_at("http://127.0.0.1:8080");
        let asked = Presign { method: Method::GET, lifetime: MINUTE, content_type: None };
        let url = engine.presigned("b", "a/ü b", &asked).unwrap();
        assert_eq!(url, format!("http://127.0.0.1:8080/_updraft/presigned/{token}"));
        clock.advance(MINUTE - Duration::from_micros(1));
        assert!(engine.allowed(&token, &Method::GET).is_ok());
        clock.advance(Duration::from_micros(1));
        assert_eq!(engine.allowed(&token, &Method::GET), Err(Forbidden::Expired));
    }

    #[test]
    fn the_key_is_the_directorys_own() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let open = |directory: &Path| {
            Embedded::open(directory, Topology::default(), Arc::new(crate::clock::SystemClock)).unwrap()
        };
        let engine = open(one.path());
        let token = presign(&engine, Method::PUT, "a");
        let mode = fs::metadata(one.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(engine);
        assert!(open(one.path()).allowed(&token, &Method::PUT).is_ok(), "it outlives the process");
        assert_eq!(open(other.path()).allowed(&token, &Method::PUT), Err(Forbidden::Forged));
        fs::write(one.path().join(FILE), "half").unwrap();
        assert_eq!(open(one.path()).allowed(&token, &Method::PUT), Err(Forbidden::Forged), "a new one");
    }

    #[test]
    fn a_key_that_cant_be_read_now_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        // It leads to itself, so that it is there and can't be read.
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(Signer::open(directory.path()).is_err());
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    }
}
