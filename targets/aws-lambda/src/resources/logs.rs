//! `AWS::Logs::LogGroup`.

use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;

/// How long logs are kept, in days, unless the settings say otherwise.
const DAYS: u32 = 30;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LogGroup {
    retention_in_days: u32,
}

impl Properties for LogGroup {
    const TYPE: &'static str = "AWS::Logs::LogGroup";
}

impl LogGroup {
    pub(crate) fn new(days: Option<u32>) -> Self {
        LogGroup { retention_in_days: days.unwrap_or(DAYS) }
    }
}

impl Id<LogGroup> {
    pub(crate) fn name(&self) -> Text {
        self.reference()
    }

    /// It ends with `:*`: the group's streams.
    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}
