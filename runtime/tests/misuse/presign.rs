//! Presigned URLs of a bucket that was not declared to have any, and beyond what a handler was granted.
use std::time::Duration;
use updraft::prelude::*;

#[bucket]
struct Reports;

#[bucket(presign)]
struct Uploads;

const MINUTE: Duration = Duration::from_secs(60);

#[http(post, "/")]
async fn links(reports: Bucket<Reports>, uploads: Bucket<Uploads, ReadOnly>) -> Result<()> {
    reports.presign_get("a", MINUTE).await?; //~ [presign_get] `Reports` has no presigned URLs
    uploads.presign_put("a", MINUTE, None).await?; //~ [presign_put] this is taken as `updraft::ReadOnly`: it can't be written
    Ok(())
}
