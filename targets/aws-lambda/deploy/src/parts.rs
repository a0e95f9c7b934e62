//! Applications of several stacks: a main one, and parts with functions or with what a module keeps, each a stack of its own
//! behind the main one's name.
//!
//! The main stack's template says which parts belong to it, and what each one's template is; each part says that it is there
//! by a parameter of Systems Manager's, the first of its resources to come and the last to go. So neither needs a list that
//! somebody has to keep.

use crate::client::Service;
use crate::error::Result;
use crate::plan::Plan;
use crate::stack::{Release, Target};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use updraft_model::App;

/// The tag that tells a part's stack from others: its value is the main stack's name.
pub const PART_TAG: &str = "updraft:part-of";

/// The parameter of a part's template with the main stack's name.
pub(crate) const APPLICATION: &str = "Application";

/// A part of a release.
#[derive(Clone, Debug)]
pub struct Part {
    /// What goes behind the main stack's name.
    pub name: String,
    /// Its template, parsed.
    pub template: Value,
    /// Its template's key.
    pub template_key: String,
}

impl Part {
    /// Whether it has what keeps something, and not functions.
    pub(crate) fn keeps(&self) -> bool {
        keeps(&self.template)
    }
}

/// Whether a part's template has what keeps something, and not functions.
pub fn keeps(template: &Value) -> bool {
    template["Metadata"]["updraft"]["keeps"] == true
}

/// Which parts belong to a main stack's template, and a hash of each one's own.
pub(crate) fn hashes(template: &Value) -> BTreeMap<String, String> {
    let parts = template["Metadata"]["updraft"]["parts"].as_object();
    let hash = |(name, hash): (&String, &Value)| Some((name.clone(), hash.as_str()?.to_owned()));
    parts.into_iter().flatten().filter_map(hash).collect()
}

impl Release {
    /// What making all of it from nothing changes.
    pub fn plan_of_new(&self, app: &App) -> Plan {
        let mut plan = Plan::of_new(&self.template, app);
        self.parts.iter().for_each(|part| plan.add_part(&part.name, None, Some(&part.template), false));
        plan
    }
}

impl Target {
    /// Where a part is deployed to.
    pub fn part(&self, name: &str) -> Target {
        let main = Some(self.stack.clone());
        Target { stack: format!("{}-{name}", self.stack), main, ..self.clone() }
    }

    /// A part's template's key: below the application's, so that no other's is meant.
    pub(crate) fn part_key(&self, hash: &str) -> String {
        format!("{}/parts/{hash}.json", self.app)
    }

    /// The names of the parts that say that they are there, sorted.
    ///
    /// # Errors
    /// AWS's.
    pub(crate) async fn parts(&self) -> Result<Vec<String>> {
        let path = format!("/updraft/{}/parts", self.stack);
        let mut names = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut asked = json!({ "Path": path, "MaxResults": 10 });
            if !next.is_null() {
                asked["NextToken"] = next;
            }
            let mut said = self.client.json(Service::Ssm, "GetParametersByPath", &asked).await?;
            let found = said["Parameters"].as_array().into_iter().flatten();
            names.extend(found.filter_map(|one| Some(one["Name"].as_str()?.rsplit_once('/')?.1.to_owned())));
            next = said["NextToken"].take();
            if next.as_str().is_none_or(str::is_empty) {
                names.sort();
                return Ok(names);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_its_parts() {
        let template = json!({ "Metadata": { "updraft": { "parts": { "shop-orders": "0a", "shop": "0b" } } } });
        let hashes: Vec<(String, String)> = hashes(&template).into_iter().collect();
        assert_eq!(hashes, [("shop".to_owned(), "0b".to_owned()), ("shop-orders".to_owned(), "0a".to_owned())]);
        assert!(super::hashes(&json!({ "Resources": {} })).is_empty());
    }
}
