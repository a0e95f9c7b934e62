//! `AWS::DynamoDB::Table`: a store, or the record of what is done once.

use crate::intrinsics::Text;
use crate::template::{Id, Properties};
use serde::Serialize;
use updraft_wire::aws::table;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Table {
    billing_mode: &'static str,
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<Key>,
    point_in_time_recovery_specification: Recovery,
    time_to_live_specification: Expiry,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_name: &'static str,
    attribute_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    attribute_name: &'static str,
    key_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Recovery {
    point_in_time_recovery_enabled: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Expiry {
    attribute_name: &'static str,
    enabled: bool,
}

impl Properties for Table {
    const TYPE: &'static str = "AWS::DynamoDB::Table";
}

impl Table {
    /// With a sort key where the store has partitions: what it is made with can't be changed.
    pub(crate) fn new(partitioned: bool) -> Self {
        let keys = [(table::PARTITION, "HASH"), (table::SORT, "RANGE")];
        let keys = &keys[..if partitioned { 2 } else { 1 }];
        let attribute = |(attribute_name, _): &(&'static str, _)| Attribute { attribute_name, attribute_type: "B" };
        let key = |&(attribute_name, key_type): &(&'static str, &'static str)| Key { attribute_name, key_type };
        Table {
            billing_mode: "PAY_PER_REQUEST",
            attribute_definitions: keys.iter().map(attribute).collect(),
            key_schema: keys.iter().map(key).collect(),
            point_in_time_recovery_specification: Recovery { point_in_time_recovery_enabled: true },
            time_to_live_specification: Expiry { attribute_name: table::EXPIRES, enabled: true },
        }
    }
}

impl Id<Table> {
    pub(crate) fn name(&self) -> Text {
        self.reference()
    }

    pub(crate) fn arn(&self) -> Text {
        self.attribute("Arn")
    }
}
