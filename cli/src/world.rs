//! The driver's window to the disk.

use std::io;
use std::path::PathBuf;
use updraft_driver::World;

/// Reads below the workspace's root.
pub(crate) struct Disk {
    pub(crate) root: PathBuf,
}

impl World for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(path))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            if entry.metadata()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }
}
