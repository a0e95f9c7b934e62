//! Finding and checking what says which part of the application this process is.

use crate::registry;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use updraft_wire::aws::CODE_VARIABLE;
use updraft_wire::binding::{Binding, FORMAT, Unit};
use updraft_wire::defaults::BINDING_PATH;

/// Names the binding's file, if it is not [`BINDING_PATH`].
pub const BINDING_VARIABLE: &str = "UPDRAFT_BINDING";
/// Names the unit.
pub const UNIT_VARIABLE: &str = "UPDRAFT_UNIT";
/// Names the face: `public` (routes) or `internal` (events). Public if unset, so that nothing internal is shown by mistake.
pub const FACE_VARIABLE: &str = "UPDRAFT_FACE";
/// Names a schedule's handler: the process sends its tick and ends.
pub const TICK_VARIABLE: &str = "UPDRAFT_TICK";

/// Says as JSON what to do with dead letters: the process does it, prints the outcome and ends.
pub const DEAD_LETTERS_VARIABLE: &str = "UPDRAFT_DEAD_LETTERS";

/// Variables that a cluster sets.
const CLUSTER_VARIABLES: [&str; 3] = ["K_SERVICE", "KUBERNETES_SERVICE_HOST", "AWS_LAMBDA_RUNTIME_API"];

/// Who may speak to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Anyone: routes.
    Public,
    /// The cluster: events and dead letters.
    Internal,
}

/// Where the binding lies, if there is one.
pub fn path() -> Option<PathBuf> {
    match std::env::var_os(BINDING_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Some(match std::env::var_os(CODE_VARIABLE) {
            Some(code) => PathBuf::from(code).join(path), // which an absolute path replaces
            None => path.into(),
        }),
        None => Some(PathBuf::from(BINDING_PATH)).filter(|path| path.exists()),
    }
}

/// The variable that tells that this is a cluster, if one does.
pub fn cluster() -> Option<&'static str> {
    CLUSTER_VARIABLES.into_iter().find(|variable| std::env::var_os(variable).is_some())
}

/// Reads the binding and checks that it is this program's.
///
/// # Errors
/// Why it can't be used.
pub fn load(path: &Path) -> Result<Binding, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("the binding {shown} can't be read: {error}"))?;
    // The format first: another one's other members would be reported as mistakes.
    let members: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|error| format!("the binding {shown} is broken: {error}"))?;
    let format = members.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(FORMAT.into()) {
        let found = format.map_or_else(|| "no format".to_owned(), |format| format!("format {format}"));
        return Err(format!("the binding {shown} has {found}, this program reads format {FORMAT}: build both anew"));
    }
    let binding: Binding =
        serde_json::from_str(&text).map_err(|error| format!("the binding {shown} is broken: {error}"))?;
    let graph = registry::graph_hash().map_err(|error| format!("this program's own descriptors: {error}"))?;
    if binding.graph != graph {
        return Err(format!(
            "the binding {shown} is of another program: its graph is {}, this program's is {graph}. Deploy the image and \
             the manifests of one build",
            binding.graph
        ));
    }
    Ok(binding)
}

/// The unit that this process is.
///
/// # Errors
/// If none is named, or one that the binding doesn't have.
pub fn unit(binding: &Binding) -> Result<(String, Unit), String> {
    let units = || binding.units.keys().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let id = std::env::var(UNIT_VARIABLE)
        .map_err(|_| format!("{UNIT_VARIABLE} is not set; the binding's units are {}", units()))?;
    match binding.units.get(&id) {
        Some(unit) => Ok((id, unit.clone())),
        None => Err(format!("{UNIT_VARIABLE} names `{id}`, but the binding's units are {}", units())),
    }
}

/// The face that this process shows.
///
/// # Errors
/// If it is neither.
pub fn face() -> Result<Face, String> {
    match std::env::var(FACE_VARIABLE).as_deref() {
        Err(_) | Ok("public") => Ok(Face::Public),
        Ok("internal") => Ok(Face::Internal),
        Ok(other) => Err(format!("{FACE_VARIABLE} is `{other}`; it can be `public` or `internal`")),
    }
}
