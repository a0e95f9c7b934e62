//! The files that were read, and places in them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use updraft_model::Place;

/// Files by path.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<String, Arc<File>>);

/// One file.
#[derive(Debug)]
pub struct File {
    /// Relative to the workspace's root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
    /// Where each line starts, in bytes.
    lines: Vec<usize>,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, file: Arc<File>) {
        self.0.insert(file.path.clone(), file);
    }

    /// The text of the file at `path`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(|file| file.text.as_str())
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.0.values().map(|file| &**file)
    }
}

impl File {
    /// A file of this text.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        File { path: path.into(), text, lines }
    }

    /// The place of a byte range; one that is out of bounds or splits a character is moved to the nearest that does not.
    pub fn place(&self, range: Range<usize>) -> Place {
        let start = self.text.floor_char_boundary(range.start);
        let end = self.text.floor_char_boundary(range.end).max(start);
        let line = self.lines.partition_point(|line| *line <= start).saturating_sub(1);
        let column = self.text[self.lines[line]..start].chars().count() + 1;
        Place { file: self.path.clone(), line: line as u32 + 1, column: column as u32, start, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_survive_nonsense() {
        let file = File::new("a.rs", "fn a() {}\n/* é */ fn b() {}\n");
        let place = file.place(22..23);
        assert_eq!((place.line, place.column, &file.text[22..23]), (2, 12, "b"));
        assert_eq!(file.place(0..1).line, 1);
        assert_eq!(file.place(14..14).start, 13, "inside the é");
        let far = file.place(900..1000);
        assert_eq!((far.start, far.end), (file.text.len(), file.text.len()));
        assert_eq!(File::new("b.rs", "").place(0..0).column, 1);
    }
}
