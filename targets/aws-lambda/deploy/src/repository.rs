//! The repository that holds an application's images: one of Updraft's own is made on first use, with tags that stay what they
//! are and a scan of what is pushed; one that somebody named is theirs to set up.

use crate::client::{Client, Service, is_of_aws};
use crate::code::Image;
use crate::error::{Error, Result};
use crate::follow::News;
use crate::registry::Registry;
use serde_json::{Value, json};

/// The name of Updraft's own for an application.
pub(crate) fn default_name(app: &str) -> String {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let app = app.to_ascii_lowercase();
    let words: Vec<&str> = app.split(|c| !word(c)).filter(|word| !word.is_empty()).collect();
    format!("updraft/{}", words.join("-"))
}

/// A repository of the account's, in the region.
#[derive(Debug)]
pub(crate) struct Repository<'a> {
    client: &'a Client,
    name: &'a str,
    ours: bool,
}

/// What a repository holds of an image.
#[derive(Debug)]
pub(crate) enum Held {
    /// All of it.
    Image,
    /// Nothing.
    Nothing,
    /// It is not there itself, in ECR's words.
    NoRepository(String),
}

impl<'a> Repository<'a> {
    pub(crate) fn new(client: &'a Client, app: &str, name: &'a str) -> Self {
        Repository { client, name, ours: name == default_name(app) }
    }

    pub(crate) fn name(&self) -> &str {
        self.name
    }

    async fn ask(&self, action: &'static str, content: Value) -> Result<Value> {
        self.client.json(Service::Ecr, action, &content).await
    }

    /// What it holds of an image.
    pub(crate) async fn holds(&self, digest: &str) -> Result<Held> {
        let which = json!({ "repositoryName": self.name, "imageIds": [{ "imageDigest": digest }] });
        match self.ask("DescribeImages", which).await {
            Err(Error::Refused(refusal)) if refusal.code == "RepositoryNotFoundException" => {
                Ok(Held::NoRepository(refusal.message))
            }
            Err(Error::Refused(refusal)) if refusal.code == "ImageNotFoundException" => Ok(Held::Nothing),
            // Some servers leave out of the list what is not there.
            said if said.as_ref().is_ok_and(|said| said["imageDetails"][0].is_null()) => Ok(Held::Nothing),
            said => said.map(|_| Held::Image),
        }
    }

    /// Makes it, if it is for us to make. `absent` is what ECR said of it.
    pub(crate) async fn make(&self, absent: String, tell: &mut dyn FnMut(News<'_>)) -> Result<()> {
        if !self.ours {
            return Err(Error::NoRepository { repository: self.name.to_owned(), reason: absent });
        }
        let made = json!({
            "repositoryName": self.name,
            "imageTagMutability": "IMMUTABLE",
            "imageScanningConfiguration": { "scanOnPush": true },
        });
        match self.ask("CreateRepository", made).await {
            // Another run made it just now.
            Err(Error::Refused(refusal)) if refusal.code == "RepositoryAlreadyExistsException" => Ok(()),
            made => made.map(|_| tell(News::MadeRepository(self.name))),
        }
    }

    /// Brings an image here, under a tag that says its digest: what has none may be cleared away.
    pub(crate) async fn push(&self, image: &Image) -> Result<()> {
        match self.registry().await?.push(image).await {
            // Another run brought it meanwhile: a tag can't be set again.
            Err(Error::Refused(_)) if matches!(self.holds(&image.digest).await, Ok(Held::Image)) => Ok(()),
            pushed => pushed,
        }
    }

    /// Where images are pushed: the registry that ECR tells of. What a variable or profile names is where ECR is asked, an
    /// endpoint in somebody's network perhaps, and a registry has another one there. But what stands in for AWS may tell of AWS's
    /// own registry, and be one itself.
    async fn registry(&self) -> Result<Registry<'a>> {
        let unreadable = || Error::Unreadable { action: "ecr:GetAuthorizationToken".to_owned() };
        let said = self.ask("GetAuthorizationToken", json!({})).await?;
        let said = &said["authorizationData"][0];
        let (token, told) = (said["authorizationToken"].as_str(), said["proxyEndpoint"].as_str());
        let (token, told) = token.zip(told).ok_or_else(unreadable)?;
        let at = |url: &str| Registry::new(self.client, url.to_owned(), token, self.name).ok_or_else(unreadable);
        if let Some(asked) = self.client.configured(Service::Ecr)
            && !is_of_aws(&asked)
            && is_of_aws(told)
        {
            let standing_in = at(&asked)?;
            if standing_in.is_there().await? {
                return Ok(standing_in);
            }
        }
        at(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::played::{client, said, serve};
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    const OF_AWS: &str = "https://1.dkr.ecr.eu-central-1.amazonaws.com";

    /// What answers for ECR and tells of this registry; and is one itself, if it says so.
    fn ecr(told: &str, is_registry: bool) -> String {
        let told = told.to_owned();
        serve(move |asked| match (asked.action.rsplit('.').next().unwrap(), &*asked.path) {
            ("GetAuthorizationToken", _) => {
                said(&json!({ "authorizationData": [{ "authorizationToken": "QVdTOng=", "proxyEndpoint": told }] }))
            }
            (_, "/v2/") if is_registry => said(&json!({})),
            _ => (404, String::new(), String::new()),
        })
    }

    #[tokio::test]
    async fn images_go_where_ecr_says() {
        let own = "http://registry.example:5000";
        // What is told, whether what answers for ECR is a registry, and whether that is meant.
        let cases = [(own, false, false), (own, true, false), (OF_AWS, true, true), (OF_AWS, false, false)];
        for (told, is_registry, is_meant) in cases {
            let url = ecr(told, is_registry);
            let client = client(&url);
            let registry = Repository::new(&client, "shop", "updraft/shop").registry().await.unwrap();
            assert_eq!(registry.url(), if is_meant { &url } else { told }, "{told} {is_registry}");
        }
    }

    /// All that is asked of a registry is asked where ECR said.
    #[tokio::test]
    async fn a_push_stays_with_one_registry() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let registry = serve(move |asked| {
            log.lock().unwrap().push(format!("{} {}", asked.method, asked.path));
            match &*asked.method {
                "HEAD" => (404, String::new(), String::new()),
                "POST" => (202, "location: /v2/updraft/shop/blobs/uploads/7\r\n".to_owned(), String::new()),
                _ => (201, String::new(), String::new()),
            }
        });
        let client = client(&ecr(&registry, true));
        let manifest = json!({ "config": { "digest": "sha256:0c" }, "layers": [] }).to_string().into_bytes();
        let files = [("blobs/sha256/0a", manifest), ("blobs/sha256/0c", b"{}".to_vec())];
        let files = files.map(|(path, bytes)| (path.to_owned(), bytes)).into_iter().collect::<BTreeMap<_, _>>();
        let image = Image { digest: "sha256:0a".into(), files, repository: None };
        Repository::new(&client, "shop", "updraft/shop").push(&image).await.unwrap();
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "HEAD /v2/updraft/shop/blobs/sha256:0c",
                "POST /v2/updraft/shop/blobs/uploads/",
                "PUT /v2/updraft/shop/blobs/uploads/7?digest=sha256:0c",
                "PUT /v2/updraft/shop/manifests/0a",
            ]
        );
    }

    #[test]
    fn a_name_is_one_that_ecr_takes() {
        for (app, expected) in [("shop", "updraft/shop"), ("My_Shop", "updraft/my-shop"), ("a__b-", "updraft/a-b")] {
            assert_eq!(default_name(app), expected);
        }
    }
}
