//! What functions run, and where it is kept: a zip in the bucket, or an image in a repository. To a release, its record and the
//! stack it is one text, the zip's key or the image's address, so that plan, history and rollback know of no difference.

use crate::bucket;
use crate::cloudformation::Stack;
use crate::error::{Error, Result};
use crate::follow::News;
use crate::repository::{self, Held, Repository};
use crate::stack::Target;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What functions run.
#[derive(Clone, Debug)]
pub enum Code {
    /// A zip.
    Zip {
        /// Its bytes.
        bytes: Bytes,
        /// Hex SHA-256 of them.
        sha256: String,
    },
    /// An image.
    Image(Image),
}

/// An image, as an OCI layout has it.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// Path within the layout → contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The repository that it goes to, if that is not Updraft's own.
    pub repository: Option<String>,
}

impl Target {
    /// Where code is to be: a key in the bucket, or an image's address.
    pub(crate) fn place(&self, code: &Code) -> String {
        match code {
            Code::Zip { sha256, .. } => format!("{}/{sha256}.zip", self.app),
            Code::Image(image) => {
                let repository = image.repository.clone().unwrap_or_else(|| repository::default_name(&self.app));
                format!("{}/{repository}@{}", self.client.registry(&self.account.id), image.digest)
            }
        }
    }

    /// Puts code where it is to be, unless it is there.
    pub(crate) async fn put(&self, place: &str, code: Code, tell: &mut dyn FnMut(News<'_>)) -> Result<()> {
        match code {
            Code::Zip { bytes, .. } => {
                bucket::put(&self.storage(), ("code", place, "application/zip"), bytes, tell).await
            }
            Code::Image(image) => {
                let (repository, digest) = self.repository(place).ok_or_else(|| unreadable(place))?;
                match repository.holds(digest).await? {
                    Held::Image => {
                        tell(News::Found("image", place));
                        return Ok(());
                    }
                    Held::Nothing => {}
                    Held::NoRepository(absent) => repository.make(absent, tell).await?,
                }
                repository.push(&image).await?;
                tell(News::Uploaded("image", place));
                Ok(())
            }
        }
    }

    /// Fails if code that was deployed once is gone.
    pub(crate) async fn is_kept(&self, place: &str, version: &str) -> Result<()> {
        let (kept, holder, what) = match self.repository(place) {
            Some((repository, digest)) => {
                let kept = matches!(repository.holds(digest).await?, Held::Image);
                (kept, repository.name().to_owned(), digest)
            }
            None => (self.storage().has(place).await?, self.bucket.clone(), place),
        };
        let gone = || Error::Gone { version: version.to_owned(), bucket: holder, key: what.to_owned() };
        if kept { Ok(()) } else { Err(gone()) }
    }

    /// The repository and digest of an image's address; `None` of a key.
    fn repository<'a>(&'a self, place: &'a str) -> Option<(Repository<'a>, &'a str)> {
        let (path, digest) = place.split_once('@')?;
        let (_, name) = path.split_once('/')?;
        Some((Repository::new(&self.client, &self.app, name), digest))
    }
}

fn unreadable(place: &str) -> Error {
    Error::ChangeSet { reason: format!("{place} is no image's address") }
}

/// What the parameters of a template are told of code, of those of these names: bucket, key, image.
pub(crate) fn told([bucket, key, image]: [&str; 3], holder: &str, place: &str) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    if place.contains('@') { vec![pair(image, place)] } else { vec![pair(bucket, holder), pair(key, place)] }
}

/// Where a stack's code is.
pub(crate) fn live<'a>(stack: &'a Stack, [_, key, image]: [&str; 3]) -> &'a str {
    stack.parameter(key).or_else(|| stack.parameter(image)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["CodeBucketName", "CodeKey", "CodeImage"];

    #[test]
    fn a_template_is_told_where_its_code_is() {
        let of = |place| told(NAMES, "zips", place).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(of("shop/1.zip"), ["CodeBucketName", "CodeKey"]);
        assert_eq!(of("1.dkr.ecr.eu-central-1.amazonaws.com/updraft/shop@sha256:1"), ["CodeImage"]);
    }
}
