//! Says whether a cluster would accept manifests and do with them what was meant, without a cluster.
//!
//! A cluster drops what it does not know: a misspelt field is not an error there, it is silently gone. So [`schema`] reads
//! custom resources against their definitions with every unknown field an error, [`core`] does the same for Kubernetes' own
//! kinds by a typed round trip, [`serving`], [`autoscaling`] and [`eventing`] hold the rules that Knative's webhooks apply,
//! [`references`] finds objects that name others which do not exist or come too late, and [`external`] asks other people's
//! programs. [`cloudformation`] does the same for templates.

pub mod autoscaling;
pub mod cloudformation;
pub mod core;
pub mod eventing;
pub mod external;
pub mod metadata;
pub mod patch;
pub mod references;
pub mod schema;
pub mod serving;
pub mod value;

use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// One object of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file it stands in.
    pub file: String,
    /// The object.
    pub value: Value,
}

impl Manifest {
    /// `serving.knative.dev/v1`.
    pub fn api_version(&self) -> &str {
        self.value["apiVersion"].as_str().unwrap_or_default()
    }

    /// `Service`.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// `web`.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace, empty if it has none.
    pub fn namespace(&self) -> &str {
        self.value["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    /// Whether it is of this API group (without the version) and kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        let (api, version) = self.api_version().rsplit_once('/').unwrap_or(("", self.api_version()));
        self.kind() == kind && api == group && !version.is_empty()
    }

    /// Whether it is a Knative Service.
    pub fn is_knative_service(&self) -> bool {
        self.is("serving.knative.dev", "Service")
    }
}

/// Why a manifest would be refused, or would not do what was meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// `Service/web`.
    pub object: String,
    /// Where in it, `spec.template.spec.containers[0].image`.
    pub path: String,
    /// Which rule, `schema/unknown-field`.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} [{}]", self.object, self.path, self.message, self.rule)
    }
}

/// Collects the findings of one object.
pub struct Report<'a> {
    manifest: &'a Manifest,
    findings: &'a mut Vec<Finding>,
}

impl Report<'_> {
    /// Adds a finding.
    pub fn add(&mut self, rule: &'static str, path: impl Into<String>, message: impl Into<String>) {
        let object = format!("{}/{}", self.manifest.kind(), self.manifest.name());
        self.findings.push(Finding { object, path: path.into(), rule, message: message.into() });
    }

    /// Adds a finding unless `held`.
    pub fn require(&mut self, held: bool, rule: &'static str, path: impl Into<String>, message: impl Into<String>) {
        if !held {
            self.add(rule, path, message);
        }
    }
}

/// The objects of a YAML text.
///
/// # Errors
/// If it is no YAML, or a key stands twice.
pub fn parse(file: &str, text: &str) -> Result<Vec<Manifest>, String> {
    let documents = serde_yaml::Deserializer::from_str(text).map(serde_yaml::Value::deserialize);
    let mut manifests = Vec::new();
    for document in documents {
        let document = document.map_err(|error| format!("{file}: {error}"))?;
        if !document.is_null() {
            let value = serde_json::to_value(document).map_err(|error| format!("{file}: {error}"))?;
            manifests.push(Manifest { file: file.to_owned(), value });
        }
    }
    Ok(manifests)
}

/// Each object for itself: schemas, where there are any, and webhook rules.
pub fn objects(manifests: &[Manifest], schemas: Option<&schema::Schemas>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests {
        let mut report = Report { manifest, findings: &mut findings };
        metadata::check(manifest, &mut report);
        let known = core::check(manifest, &mut report);
        if let Some(schemas) = schemas {
            let known = schemas.check(manifest, &mut report) || known;
            report.require(known, "schema/unknown-kind", "kind", "no schema of this kind is known");
        }
        serving::check(manifest, &mut report);
        eventing::check(manifest, &mut report);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Each object for itself, and all of them together.
pub fn all(manifests: &[Manifest], schemas: Option<&schema::Schemas>) -> Vec<Finding> {
    let mut findings = objects(manifests, schemas);
    references::check(manifests, &mut findings);
    findings.sort();
    findings.dedup();
    findings
}
