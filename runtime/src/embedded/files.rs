//! The folder of large blobs' files.

use crate::engine::{ByteStream, EngineError, EngineResult};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::io::{ErrorKind, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// The folder.
pub(super) struct Files(PathBuf);

impl Files {
    /// The folder in `directory`, made if it isn't there, without the files that `is_named` knows nothing of.
    pub(super) fn open(directory: &Path, named: &BTreeSet<String>) -> std::io::Result<Self> {
        let folder = directory.join("blobs");
        std::fs::create_dir_all(&folder)?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| named.contains(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Files(folder))
    }

    /// Writes a new file, durably, and how large it is. `first` comes before what the stream gives.
    pub(super) async fn write(&self, first: Bytes, mut body: ByteStream<'_>) -> EngineResult<(Unnamed, u64)> {
        let path = self.0.join(uuid::Uuid::now_v7().to_string());
        let unwritable = |error| unusable("written", &path, &error);
        // Made before the file is, so that it goes whatever happens.
        let unnamed = Unnamed { path: path.clone(), keep: false };
        let mut file = File::create_new(&path).await.map_err(unwritable)?;
        let mut size = first.len() as u64;
        file.write_all(&first).await.map_err(unwritable)?;
        while let Some(piece) = body.try_next().await? {
            file.write_all(&piece).await.map_err(unwritable)?;
            size += piece.len() as u64;
        }
        file.sync_all().await.map_err(unwritable)?;
        let folder = File::open(&self.0).await.map_err(unwritable)?;
        folder.sync_all().await.map_err(unwritable)?;
        Ok((unnamed, size))
    }

    /// A part of a file; `None` if there is no such file any more. A file that is removed while it is read is read to its
    /// end all the same.
    pub(super) async fn read(&self, name: &str, range: Range<u64>) -> EngineResult<Option<ByteStream<'static>>> {
        let path = self.0.join(name);
        let mut file = match File::open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable("read", &path, &error)),
        };
        file.seek(SeekFrom::Start(range.start)).await.map_err(|error| unusable("read", &path, &error))?;
        let left = range.end - range.start;
        let pieces = stream::try_unfold((file, left, path), |(mut file, left, path)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut piece = vec![0; left.min(PIECE_BYTES as u64) as usize];
            file.read_exact(&mut piece).await.map_err(|error| unusable("read", &path, &error))?;
            let left = left - piece.len() as u64;
            Ok(Some((Bytes::from(piece), (file, left, path))))
        });
        Ok(Some(pieces.boxed()))
    }

    /// Removes a file that no record names any more.
    pub(super) async fn remove(&self, name: &str) {
        let path = self.0.join(name);
        if let Err(error) = tokio::fs::remove_file(&path).await {
            tracing::debug!(path = %path.display(), %error, "a blob's file stays until the next start");
        }
    }
}

/// A file that no record names yet: it goes when it is dropped.
pub(super) struct Unnamed {
    path: PathBuf,
    keep: bool,
}

impl Unnamed {
    /// Its name, for the record that names it from now on.
    pub(super) fn named(mut self) -> String {
        self.keep = true;
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn unusable(done: &str, path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::Unavailable(format!("the blob's file {} can't be {done}: {error}", path.display()))
}
