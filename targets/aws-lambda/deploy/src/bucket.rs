//! The bucket that holds zips, templates and records: made on first use, closed to the public, encrypted, by TLS alone.

use crate::client::Client;
use crate::error::{Error, Refusal, Result};
use crate::follow::News;
use crate::s3::Bucket;
use bytes::Bytes;
use serde_json::json;

/// Its name, unless the settings say another: one for all applications of an account in a region.
pub(crate) fn default_name(account: &str, client: &Client) -> String {
    format!("updraft-{account}-{}", client.region())
}

/// Makes it if there is none.
pub(crate) async fn ensure(bucket: &Bucket<'_>, tell: &mut dyn FnMut(News<'_>)) -> Result<()> {
    // Where a server that stands in for AWS is asked without TLS, a bucket that wants it would be of no use.
    let by_tls = bucket.url("").starts_with("https:");
    if bucket.exists().await.map_err(|error| foreign(bucket, error))? {
        // The policy comes last: without one, the run that made it was interrupted. A bucket of another name is the user's
        // to set up.
        let ours = bucket.name == default_name(bucket.owner, bucket.client);
        if !ours || !by_tls || bucket.has_policy().await? {
            return Ok(());
        }
    } else {
        bucket.create().await.map_err(|error| foreign(bucket, error))?;
    }
    let block = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true\
                 </BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>\
                 <RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    bucket.configure("PutBucketPublicAccessBlock", "publicAccessBlock=", block.to_owned()).await?;
    let encryption = "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>\
                      <ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                      </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    bucket.configure("PutEncryptionConfiguration", "encryption=", encryption.to_owned()).await?;
    if by_tls {
        bucket.configure("PutBucketPolicy", "policy=", only_by_tls(bucket).to_string()).await?;
    }
    tell(News::MadeBucket(bucket.name));
    Ok(())
}

/// Puts something there, under a key that is no other's, unless it is there: what it is, its key and its type.
pub(crate) async fn put(
    bucket: &Bucket<'_>,
    (what, key, kind): (&str, &str, &str),
    bytes: Bytes,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<()> {
    if bucket.has(key).await? {
        tell(News::Found(what, key));
    } else {
        bucket.put(key, kind, bytes).await?;
        tell(News::Uploaded(what, key));
    }
    Ok(())
}

fn only_by_tls(bucket: &Bucket<'_>) -> serde_json::Value {
    let arn = format!("arn:{}:s3:::{}", bucket.partition, bucket.name);
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "OnlyByTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }],
    })
}

/// S3 does not tell a bucket of someone else's from one that may not be used.
fn foreign(bucket: &Bucket<'_>, error: Error) -> Error {
    match error {
        Error::Refused(refusal) if refusal.is_of_credentials() => Error::Refused(refusal),
        Error::Refused(Refusal { status, code, message, action })
            if code == "BucketAlreadyExists" || status == 403 || status == 301 =>
        {
            let reason = if code.is_empty() { message } else { format!("{message} ({code})") };
            Error::ForeignBucket { bucket: bucket.name.to_owned(), reason: format!("{action}: {reason}") }
        }
        error => error,
    }
}
