//! Documents become files.

use crate::lower::{Context, File};
use crate::readme;
use updraft_kubernetes::resources::Kustomization;
use updraft_kubernetes::{document, yaml};
use updraft_model::{Artifacts, Plan};

/// The numbered manifests, `kustomization.yaml` over them, and a page on how to apply them.
pub(crate) fn emit(plan: &Plan, files: &[File]) -> Result<Artifacts, yaml::Error> {
    let mut artifacts = Artifacts::default();
    for file in files {
        artifacts.add(file.path.clone(), document::file(&file.documents)?, file.origins.clone());
    }
    let kustomization = Kustomization::in_order(files.iter().map(|file| file.path.clone()).collect());
    artifacts.add("kustomization.yaml", yaml::to_string(&kustomization)?, Vec::new());
    artifacts.add("README.md", readme::readme(&Context::new(plan)), Vec::new());
    Ok(artifacts)
}
