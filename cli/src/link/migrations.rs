//! What cargo does not do for migrations: seeing that a file came to their folder or went, and writing down what was
//! released.

use crate::exit::{Failure, Result};
use crate::project::Project;
use crate::report::Reporter;
use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;
use updraft_driver::migrations::Migrations;

/// Makes cargo compile databases anew whose folder holds other files than at the last build: the program includes each file,
/// so a touch of one of them does it.
pub(crate) fn refresh(project: &Project, all: &[Migrations]) -> Result {
    let stamps = project.output_dir().join("migrations");
    for migrations in all {
        let Some((first, _)) = migrations.files.first() else { continue };
        let names: Vec<&str> = migrations.files.iter().map(|(name, _)| name.as_str()).collect();
        let (stamp, now) = (stamps.join(&migrations.database), names.join("\n"));
        if fs::read_to_string(&stamp).is_ok_and(|before| before == now) {
            continue;
        }
        let path = project.workspace_root.join(&migrations.folder).join(first);
        let touched = File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(|error| failed(&path, &error))?;
        fs::create_dir_all(&stamps).and_then(|()| fs::write(&stamp, now)).map_err(|error| failed(&stamp, &error))?;
    }
    Ok(())
}

/// Writes the locks after a release.
pub(crate) fn lock(project: &Project, all: &[Migrations], reporter: &Reporter) -> Result {
    for migrations in all {
        let path = project.workspace_root.join(migrations.lock_path());
        let now = migrations.lock();
        if fs::read_to_string(&path).is_ok_and(|before| before == now) {
            continue;
        }
        fs::write(&path, now).map_err(|error| failed(&path, &error))?;
        reporter.status("Locked", &format_args!("{}: commit it", migrations.lock_path()));
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Outside(format!("{}: {error}", path.display()))
}
