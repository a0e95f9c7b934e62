//! A registry of images, as the specification of its protocol has it (OCI distribution, Docker's version 2): blobs that are not
//! there, then the manifest that names them.

use crate::client::{Answer, Ask, Client, Service};
use crate::code::Image;
use crate::error::{Error, Result};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

/// A repository of a registry, for one push.
#[derive(Debug)]
pub(crate) struct Registry<'a> {
    client: &'a Client,
    url: String,
    authorization: HeaderValue,
    repository: &'a str,
}

impl<'a> Registry<'a> {
    /// `token` is a name and a password, as HTTP has them in base64; `None` if it can be none.
    pub(crate) fn new(client: &'a Client, url: String, token: &str, repository: &'a str) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Basic {token}")).ok()?;
        authorization.set_sensitive(true);
        Some(Registry { client, url, authorization, repository })
    }

    /// Where it is.
    #[cfg(test)]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether a registry is there, and lets us in.
    pub(crate) async fn is_there(&self) -> Result<bool> {
        let url = format!("{}/v2/", self.url);
        match self.ask("GetAuthorizationToken", Method::GET, url, "", Bytes::new()).await {
            Err(Error::Refused(_)) => Ok(false),
            said => said.map(|_| true),
        }
    }

    /// Brings an image there. What a run that was interrupted brought is not brought again.
    pub(crate) async fn push(&self, image: &Image) -> Result<()> {
        let blob = |digest: &str| {
            let path = format!("blobs/{}", digest.replace(':', "/"));
            let bytes = image.files.get(&path).map(|bytes| Bytes::copy_from_slice(bytes));
            bytes.ok_or_else(|| Error::ChangeSet { reason: format!("the image has no {digest}") })
        };
        let manifest = blob(&image.digest)?;
        let said: Value = serde_json::from_slice(&manifest).unwrap_or_default();
        let parts = said["layers"].as_array().into_iter().flatten().chain([&said["config"]]);
        for digest in parts.filter_map(|part| part["digest"].as_str()) {
            self.blob(digest, blob(digest)?).await?;
        }
        let kind = said["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
        let tag = image.digest.rsplit(':').next().unwrap_or_default();
        self.ask("PutImage", Method::PUT, self.path(&format!("manifests/{tag}")), kind, manifest).await.map(drop)
    }

    async fn blob(&self, digest: &str, bytes: Bytes) -> Result<()> {
        if self.has(digest).await? {
            return Ok(());
        }
        let begun =
            self.ask("InitiateLayerUpload", Method::POST, self.path("blobs/uploads/"), "", Bytes::new()).await?;
        let unreadable = || Error::Unreadable { action: "ecr:InitiateLayerUpload".to_owned() };
        let place = place(&self.url, begun.location.as_deref().unwrap_or_default(), digest).ok_or_else(unreadable)?;
        match self.ask("CompleteLayerUpload", Method::PUT, place, "application/octet-stream", bytes).await {
            // It was taken, and only its answer lost: there is nothing left to complete then.
            Err(Error::Refused(refusal)) if !self.has(digest).await.unwrap_or(false) => Err(Error::Refused(refusal)),
            Err(Error::Refused(_)) => Ok(()),
            done => done.map(drop),
        }
    }

    async fn has(&self, digest: &str) -> Result<bool> {
        let path = self.path(&format!("blobs/{digest}"));
        match self.ask("BatchCheckLayerAvailability", Method::HEAD, path, "", Bytes::new()).await {
            Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(false),
            // Another place has it.
            Err(Error::Refused(refusal)) if (300..400).contains(&refusal.status) => Ok(true),
            said => said.map(|_| true),
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.url, self.repository)
    }

    /// `action` is what a policy of AWS's calls it.
    async fn ask(&self, action: &'static str, method: Method, url: String, kind: &str, body: Bytes) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if !kind.is_empty() {
            headers.extend(HeaderValue::from_str(kind).ok().map(|kind| (CONTENT_TYPE, kind)));
        }
        self.client.ask(Ask { service: Service::Ecr, action, method, url, headers, body }).await
    }
}

/// Where a blob goes that is brought at once, from what the registry answered; `None` if that is another's, which gets no password.
fn place(registry: &str, location: &str, digest: &str) -> Option<String> {
    let path = location.strip_prefix(registry).unwrap_or(location);
    let mark = if path.contains('?') { '&' } else { '?' };
    path.starts_with('/').then(|| format!("{registry}{path}{mark}digest={digest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stays_with_its_registry() {
        let of = |location| place("https://a.example", location, "sha256:1");
        let expected = Some("https://a.example/v2/x/blobs/uploads/7?digest=sha256:1".to_owned());
        assert_eq!(of("/v2/x/blobs/uploads/7"), expected);
        assert_eq!(of("https://a.example/v2/x/blobs/uploads/7"), expected);
        assert_eq!(of("/u?state=1"), Some("https://a.example/u?state=1&digest=sha256:1".to_owned()));
        for elsewhere in ["https://b.example/u", "https://a.example.b.example/u", "https://a.example@b.example/u", ""] {
            assert_eq!(of(elsewhere), None, "{elsewhere}");
        }
    }
}
