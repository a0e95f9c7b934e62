//! What the compiler has to say: own plain data, so that targets need no renderer. The driver turns it into miette's.

use crate::app::Place;
use serde::Serialize;

/// One finding. Codes are contracts: unique, never reused, each with an `explain` page.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// `UD0101`, or `UW0101` for a warning.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence: what is wrong.
    pub message: String,
    /// Places it speaks of, the main one first; both ends of an edge. May be empty (nothing in the source is at fault).
    pub labels: Vec<Label>,
    /// The way out, one that can be followed.
    pub help: Option<String>,
}

/// The page that `explain CODE` prints. It stands in the file of the rule it explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explain {
    /// `UD0201`.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Markdown: what the rule protects from, an example that fails and one that is right.
    pub text: &'static str,
}

/// A place and what is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// A few words; may be empty.
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The program can't be built for what was asked.
    Error,
    /// It can, but probably should not.
    Warning,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.labels.push(Label { place: place.clone(), text: text.into() });
        self
    }

    /// Says the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Collects findings: stages go on past the first.
#[derive(Debug, Default)]
pub struct Sink(Vec<Diagnostic>);

impl Sink {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All findings: errors first, then by place and code; each once.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        let place = |diagnostic: &Diagnostic| diagnostic.labels.first().map(|label| label.place.clone());
        self.0.sort_by(|a, b| (a.severity, place(a), a).cmp(&(b.severity, place(b), b)));
        self.0.dedup();
        self.0
    }
}

impl Extend<Diagnostic> for Sink {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, iter: T) {
        self.0.extend(iter);
    }
}
