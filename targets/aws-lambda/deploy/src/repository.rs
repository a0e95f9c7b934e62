//! The repository that holds an application's images: one of Updraft's own is made on first use, with tags that stay what they
//! are and a scan of what is pushed; one that somebody named is theirs to set up.

use crate::client::{Client, Service};
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
        let unreadable = || Error::Unreadable { action: "ecr:GetAuthorizationToken".to_owned() };
        let said = self.ask("GetAuthorizationToken", json!({})).await?;
        let said = &said["authorizationData"][0];
        let (token, place) = (said["authorizationToken"].as_str(), said["proxyEndpoint"].as_str());
        let (token, place) = token.zip(place).ok_or_else(unreadable)?;
        // What stands in for ECR does for its registry, too.
        let url = self.client.configured(Service::Ecr).unwrap_or_else(|| place.to_owned());
        let registry = Registry::new(self.client, url, token, self.name).ok_or_else(unreadable)?;
        match registry.push(image).await {
            // Another run brought it meanwhile: a tag can't be set again.
            Err(Error::Refused(_)) if matches!(self.holds(&image.digest).await, Ok(Held::Image)) => Ok(()),
            pushed => pushed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_ecr_takes() {
        for (app, expected) in [("shop", "updraft/shop"), ("My_Shop", "updraft/my-shop"), ("a__b-", "updraft/a-b")] {
            assert_eq!(default_name(app), expected);
        }
    }
}
