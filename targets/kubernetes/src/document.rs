//! A manifest with the comment above it, and files of several.

use crate::yaml;
use serde::Serialize;
use serde_yaml::Value;

/// One document of a file: an object, where it comes from, and what a reader should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Lines above the document, without the `# `.
    pub comment: Vec<String>,
    /// The object.
    pub value: Value,
}

impl Document {
    /// An object with its comment.
    ///
    /// # Errors
    /// If the object does not serialise: a bug in a resource's struct.
    pub fn new(comment: Vec<String>, object: &impl Serialize) -> Result<Self, yaml::Error> {
        Ok(Document { comment, value: yaml::to_value(object)? })
    }

    /// `Service/web`, as people say it.
    pub fn name(&self) -> String {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        format!(
            "{}/{}",
            text(self.value.get("kind")),
            text(self.value.get("metadata").and_then(|meta| meta.get("name")))
        )
    }
}

/// The documents as one file.
///
/// # Errors
/// See [`yaml::emit`].
pub fn file(documents: &[Document]) -> Result<String, yaml::Error> {
    let mut out = String::new();
    for (at, document) in documents.iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        for line in document.comment.iter().flat_map(|line| line.lines()) {
            out.push_str(&format!("# {line}").trim_end().replace(|c: char| c.is_control(), " "));
            out.push('\n');
        }
        out.push_str(&yaml::emit(&document.value)?);
    }
    Ok(out)
}
