//! Custom resources against their definitions, closed: a field that the definition does not know is an error.

use crate::value::{entries, items, text};
use crate::{Manifest, Report, metadata};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fields that are legal although the definition, which leaves the place open for them, does not list them.
const LEGAL: [(&str, &str); 1] = [("delivery", "timeout")];

/// What stands at places that a definition leaves open, where we know it: the parent's name and its fields.
const OPEN: [(&str, &[&str]); 1] = [("emptyDir", &["medium", "sizeLimit"])];

/// Definitions by `apiVersion` and kind.
pub struct Schemas(BTreeMap<(String, String), Value>);

impl Schemas {
    /// Where definitions are: `UPDRAFT_SCHEMAS`, or `../shared/schemas` beside the workspace.
    pub fn place() -> PathBuf {
        std::env::var_os("UPDRAFT_SCHEMAS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/schemas"), PathBuf::from)
    }

    /// All definitions below [`Schemas::place`]; `None`, said in plain sight, where there is no such folder.
    ///
    /// # Errors
    /// If a file is there that is no YAML.
    pub fn load() -> Result<Option<Self>, String> {
        let place = Self::place();
        let Ok(folders) = std::fs::read_dir(&place) else {
            crate::external::skip(&format!(
                "no definitions of custom resources at {} (UPDRAFT_SCHEMAS)",
                place.display()
            ));
            return Ok(None);
        };
        let mut schemas = BTreeMap::new();
        for folder in folders.flatten() {
            for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let path = file.path();
                if path.extension().is_some_and(|extension| extension == "yaml") {
                    let text =
                        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                    for definition in crate::parse(&path.display().to_string(), &text)? {
                        add(&mut schemas, &definition);
                    }
                }
            }
        }
        Ok(Some(Schemas(schemas)))
    }

    /// Checks an object of a kind that is defined, and says whether it is.
    pub fn check(&self, manifest: &Manifest, report: &mut Report<'_>) -> bool {
        let key = (manifest.api_version().to_owned(), manifest.kind().to_owned());
        let Some(schema) = self.0.get(&key) else { return false };
        for (field, value) in entries(&manifest.value) {
            match field.as_str() {
                "apiVersion" | "kind" | "metadata" => {} // the API server's own, and `metadata.rs`
                _ => match schema["properties"].get(field) {
                    Some(schema) => node(schema, value, field, report),
                    None => report.add("schema/unknown-field", field, "the definition has no such field"),
                },
            }
        }
        for field in items(&schema["required"]) {
            let there = manifest.value.get(text(field)).is_some();
            report.require(there, "schema/required", text(field), "is required");
        }
        true
    }
}

fn add(schemas: &mut BTreeMap<(String, String), Value>, definition: &Manifest) {
    if definition.kind() != "CustomResourceDefinition" {
        return;
    }
    let spec = &definition.value["spec"];
    for version in items(&spec["versions"]) {
        let api_version = format!("{}/{}", text(&spec["group"]), text(&version["name"]));
        let kind = text(&spec["names"]["kind"]).to_owned();
        schemas.insert((api_version, kind), version["schema"]["openAPIV3Schema"].clone());
    }
}

fn node(schema: &Value, value: &Value, path: &str, report: &mut Report<'_>) {
    let flag = |name: &str| schema[name].as_bool().unwrap_or_default();
    if value.is_null() {
        // An absent value; a required one is missed by its parent.
        return;
    }
    if flag("x-kubernetes-int-or-string") {
        let good = value.is_string() || value.is_i64() || value.is_u64();
        report.require(good, "schema/type", path, format!("{value} is neither integer nor string"));
    } else if !has_type(text(&schema["type"]), value) {
        report.add("schema/type", path, format!("{value} is no {}", text(&schema["type"])));
        return;
    }
    scalar(schema, value, path, report);
    for (at, item) in items(value).iter().enumerate() {
        node(&schema["items"], item, &format!("{path}[{at}]"), report);
    }
    if value.is_object() {
        object(schema, value, path, report);
    }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    }
}

fn scalar(schema: &Value, value: &Value, path: &str, report: &mut Report<'_>) {
    let choices = items(&schema["enum"]);
    let chosen = choices.is_empty() || choices.contains(value);
    report.require(chosen, "schema/enum", path, format!("{value} is none of {}", schema["enum"]));
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
        let good = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
        report.require(good, "schema/pattern", path, format!("`{text}` does not match {pattern}"));
    }
    if let Some(number) = value.as_f64() {
        let low = schema["minimum"].as_f64().is_none_or(|minimum| number >= minimum);
        let high = schema["maximum"].as_f64().is_none_or(|maximum| number <= maximum);
        let fits =
            text(&schema["format"]) != "int32" || value.as_i64().is_some_and(|value| i32::try_from(value).is_ok());
        report.require(low && high && fits, "schema/range", path, format!("{value} is out of range"));
    }
}

fn object(schema: &Value, value: &Value, path: &str, report: &mut Report<'_>) {
    let name = path.rsplit('.').next().unwrap_or(path);
    let open = schema["x-kubernetes-preserve-unknown-fields"].as_bool().unwrap_or_default();
    let properties = schema["properties"].as_object();
    if name == "metadata" && properties.is_none() {
        metadata::fields(value, path, report);
        return;
    }
    for (field, value) in entries(value) {
        let path = format!("{path}.{field}");
        if let Some(schema) = properties.and_then(|properties| properties.get(field)) {
            node(schema, value, &path, report);
        } else if schema["additionalProperties"].is_object() {
            node(&schema["additionalProperties"], value, &path, report);
        } else if let Some((_, fields)) = OPEN.iter().find(|(open, _)| *open == name) {
            let known = fields.contains(&field.as_str());
            report.require(known, "schema/unknown-field", path, format!("{name} has no such field"));
        } else {
            let closed = properties.is_some() || !open;
            let legal = LEGAL.contains(&(name, field.as_str()));
            report.require(!closed || legal, "schema/unknown-field", path, "the definition has no such field");
        }
    }
    for field in items(&schema["required"]) {
        let there = value.get(text(field)).is_some();
        report.require(there, "schema/required", format!("{path}.{}", text(field)), "is required");
    }
}
