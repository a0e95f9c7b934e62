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
}
