//! What was changed behind CloudFormation's back.

use crate::cloudformation::{Drift, Stack};
use crate::error::{Error, Result};
use crate::stack::Target;
use std::time::Duration;

/// Between two looks: a detection takes as long as there are resources to look at.
const PAUSE: Duration = Duration::from_secs(1);

impl Target {
    /// What differs from the template; `None` where nobody looks (servers that stand in for AWS).
    ///
    /// # Errors
    /// AWS's.
    pub async fn drift(&self, stack: &Stack) -> Result<Option<Vec<Drift>>> {
        let cloud = self.cloud();
        let unknown = ["InvalidAction", "UnsupportedOperation", "UnknownOperationException", "NotImplemented"];
        let id = match cloud.detect_drift(&stack.id).await {
            Err(Error::Refused(refusal)) if unknown.contains(&&*refusal.code) || refusal.status == 501 => {
                return Ok(None);
            }
            id => id?,
        };
        loop {
            let (status, reason) = cloud.drift_detection(&id).await?;
            match status.as_str() {
                "DETECTION_IN_PROGRESS" => tokio::time::sleep(PAUSE).await,
                "DETECTION_COMPLETE" => return Ok(Some(cloud.drifts(&stack.id).await?)),
                _ => return Err(Error::Drift { reason }),
            }
        }
    }
}
