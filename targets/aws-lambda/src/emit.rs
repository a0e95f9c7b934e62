//! The template and the binding become files.

use crate::lower::{Source, lower};
use crate::resources::binding::binding;
use crate::split::split;
use crate::template::{Broken, hash8, pretty};
use crate::{PARTS, TEMPLATE};
use updraft_model::{Artifacts, Plan};
use updraft_wire::aws::BINDING_FILE;

/// `template.json`, those of its parts if it has some, and `binding.json` for the zip.
pub(crate) fn emit(plan: &Plan) -> Result<Artifacts, Broken> {
    let binding = serde_json::to_value(binding(plan))?;
    let revision = hash8(&serde_json::json!([plan.digest, binding]));
    let source = Source::new(&plan.app, &plan.units, &plan.settings, revision).ok_or(Broken::Circle)?;
    let mut artifacts = Artifacts::default();
    artifacts.add(BINDING_FILE, pretty(&binding)?, Vec::new());
    let stacks = split(lower(&source)?.template, &source)?;
    artifacts.add(TEMPLATE, stacks.main.text()?, Vec::new());
    for (part, template) in &stacks.parts {
        artifacts.add(format!("{PARTS}/{part}.json"), template.text()?, Vec::new());
    }
    Ok(artifacts)
}
