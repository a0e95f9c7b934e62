//! `Updraft.toml`, as far as embedded mode needs it. What the file may hold is the compiler's to check; here it is only
//! read.

use crate::capability::config::Mistake;
use crate::registry::RESOURCES;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use updraft_wire::limits::{self, HttpLimits};

/// The file's name.
pub const FILE: &str = "Updraft.toml";

/// What embedded mode takes from the file; all of it may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `[app] name`, else the package's.
    pub app: String,
    /// `[config.<id>]`.
    pub configs: BTreeMap<String, Value>,
    /// `[dev.secrets]`: values for laptops that are no secrets.
    pub secrets: BTreeMap<String, String>,
    /// `[dev.databases]`: URLs of databases on servers that are there already.
    pub databases: BTreeMap<String, String>,
    /// `dev.stand_ins`: externals that get a local stand-in.
    pub stand_ins: Vec<String>,
    /// `[http]`.
    pub http: HttpLimits,
    /// `[bindings.resource.<id>] base_url`: where an external is.
    pub externals: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    app: App,
    config: BTreeMap<String, Value>,
    http: Http,
    dev: Dev,
    bindings: Bindings,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct App {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Http {
    body: Option<String>,
    headers: Option<String>,
    head: Option<String>,
    pause: Option<String>,
    idle: Option<String>,
    connections: Option<u32>,
    requests: Option<u32>,
}

impl Http {
    /// What can't be read is at its default: `check` says what it is.
    fn limits(self) -> HttpLimits {
        let HttpLimits { body, headers, head, pause, idle, connections, requests } = HttpLimits::DEFAULT;
        let size = |text: Option<String>| text.as_deref().and_then(limits::size);
        let seconds = |text: Option<String>| text.as_deref().and_then(limits::seconds);
        HttpLimits {
            body: size(self.body).unwrap_or(body),
            headers: size(self.headers).and_then(|size| size.try_into().ok()).unwrap_or(headers),
            head: seconds(self.head).unwrap_or(head),
            pause: seconds(self.pause).unwrap_or(pause),
            idle: seconds(self.idle).unwrap_or(idle),
            connections: self.connections.filter(|count| *count > 0).unwrap_or(connections),
            requests: self.requests.filter(|count| *count > 0).unwrap_or(requests),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dev {
    secrets: BTreeMap<String, String>,
    databases: BTreeMap<String, String>,
    stand_ins: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bindings {
    resource: BTreeMap<String, Binding>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Binding {
    base_url: Option<String>,
}

/// Reads the file in `folder`; without one, everything is at its default.
///
/// # Errors
/// If it can't be read or is malformed: where and why.
pub fn read(folder: &Path, package: &str) -> Result<Settings, String> {
    let path = folder.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{} can't be read: {error}", path.display())),
    };
    parse(&text, package).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(text: &str, package: &str) -> Result<Settings, toml::de::Error> {
    let File { app, config, http, dev, bindings } = toml::from_str(text)?;
    let externals = bindings.resource.into_iter();
    Ok(Settings {
        app: app.name.unwrap_or_else(|| package.to_owned()),
        configs: config,
        http: http.limits(),
        secrets: dev.secrets,
        databases: dev.databases,
        stand_ins: dev.stand_ins,
        externals: externals.filter_map(|(id, binding)| Some((id, binding.base_url?))).collect(),
    })
}

/// Reads each `#[config]` of this program and validates it, so that no handler meets a bad one.
///
/// # Errors
/// Each mistake in each of them: what it is, and where to set it right.
pub fn validate(configs: &BTreeMap<String, Value>, place: &str) -> Result<(), Vec<String>> {
    let nothing = Value::Object(Map::new());
    let problems = RESOURCES.iter().flat_map(|resource| {
        let values = configs.get(resource.id).unwrap_or(&nothing);
        let found = resource.validate.map_or(Ok(()), |validate| validate(values)).err().unwrap_or_default();
        let id = resource.id;
        found.into_iter().map(move |Mistake { key, reason }| {
            let what = key.map_or_else(|| "its values stand".to_owned(), |key| format!("`{key}` stands"));
            format!(
                "the config `{id}` is not what the program takes: {reason}\nhelp: {what} in `[config.{id}]` of {place}"
            )
        })
    });
    let mut problems: Vec<_> = problems.collect();
    problems.sort();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_a_laptop_needs_and_passes_over_the_rest() {
        let settings = parse(
            "[app]\nname = \"s\"\n[config.house]\nlimit = 3\n[dev]\nstand_ins = [\"mailer\"]\nsecrets = { key = \"k\" }\n\
             [bindings]\nstore = { engine = \"redis\" }\n[bindings.resource.hooks]\nbase_url = \"http://x\"\n[target.knative]",
            "shop",
        )
        .unwrap();
        assert_eq!((settings.app.as_str(), &settings.configs["house"]["limit"]), ("s", &Value::from(3)));
        assert_eq!((settings.secrets["key"].as_str(), settings.stand_ins.join(",").as_str()), ("k", "mailer"));
        assert_eq!(settings.externals["hooks"], "http://x");
        assert_eq!(parse("", "shop").unwrap().app, "shop");
    }

    #[test]
    fn a_malformed_file_is_an_error_that_says_where() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "[app\n").unwrap();
        let error = read(folder.path(), "shop").unwrap_err();
        assert!(error.contains("Updraft.toml") && error.contains("line 1"), "{error}");
    }
}
