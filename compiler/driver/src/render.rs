//! A diagnostic as a person sees it (miette), as one line, or as one JSON object with lines and columns.

use crate::source::Sources;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan};
use serde_json::json;
use std::fmt;
use updraft_model::{Diagnostic, Label, Severity};

/// The version of [`json()`]'s objects.
pub const FORMAT: u32 = 1;

/// How [`human`] looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours.
    pub color: bool,
    /// Columns to wrap at.
    pub width: usize,
}

/// With source, labels and help.
pub fn human(diagnostic: &Diagnostic, sources: &Sources, style: &Style) -> String {
    let theme = if style.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false).with_context_lines(1);
    let mut text = String::new();
    match handler.render_report(&mut text, &Report::new(diagnostic, sources)) {
        Ok(()) => text,
        Err(fmt::Error) => short(diagnostic),
    }
}

/// `src/orders.rs:12:5: error[UD0201]: …`.
pub fn short(diagnostic: &Diagnostic) -> String {
    let severity = severity(diagnostic.severity);
    let text = format!("{severity}[{}]: {}", diagnostic.code, diagnostic.message);
    match diagnostic.labels.first() {
        Some(Label { place, .. }) => format!("{}:{}:{}: {text}", place.file, place.line, place.column),
        None => text,
    }
}

/// One object on one line: `{"format":1,"code":…,"severity":…,"message":…,"labels":[{"file","line","column","end_line",
/// "end_column","start","end","text"}],"help":…}`. Lines and columns count from 1, columns in characters; `start` and
/// `end` are bytes.
pub fn json(diagnostic: &Diagnostic) -> String {
    let label = |Label { place, text }: &Label| {
        json!({
            "file": place.file, "line": place.line, "column": place.column,
            "start": place.start, "end": place.end, "text": text,
        })
    };
    json!({
        "format": FORMAT,
        "code": diagnostic.code,
        "severity": severity(diagnostic.severity),
        "message": diagnostic.message,
        "labels": diagnostic.labels.iter().map(label).collect::<Vec<_>>(),
        "help": diagnostic.help,
    })
    .to_string()
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One file's part of a diagnostic. miette shows one file a report: the others follow as related ones.
struct Report<'a> {
    code: Option<&'a str>,
    severity: miette::Severity,
    message: String,
    help: Option<&'a str>,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report<'a>>,
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &Sources) -> Self {
        let mut files: Vec<&str> = Vec::new();
        for Label { place, .. } in &diagnostic.labels {
            if !files.contains(&place.file.as_str()) {
                files.push(&place.file);
            }
        }
        let mut parts = files.into_iter().map(|file| {
            let labels: Vec<LabeledSpan> = diagnostic
                .labels
                .iter()
                .enumerate()
                .filter(|(_, label)| label.place.file == file)
                .map(|(at, Label { place, text })| {
                    let text = (!text.is_empty()).then(|| text.clone());
                    let span = SourceSpan::new(place.start.into(), place.end - place.start);
                    if at == 0 {
                        LabeledSpan::new_primary_with_span(text, span)
                    } else {
                        LabeledSpan::new_with_span(text, span)
                    }
                })
                .collect();
            let source = sources.text(file).map(|text| NamedSource::new(file, text.to_owned()).with_language("Rust"));
            (file, source, labels)
        });
        let (source, labels) = parts.next().map_or((None, Vec::new()), |(_, source, labels)| (source, labels));
        let related = parts.map(|(file, source, labels)| Report {
            code: None,
            severity: miette::Severity::Advice,
            message: format!("the other end, in {file}"),
            help: None,
            source,
            labels,
            related: Vec::new(),
        });
        Report {
            code: Some(diagnostic.code),
            severity: match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            },
            message: diagnostic.message.clone(),
            help: diagnostic.help.as_deref(),
            source,
            labels,
            related: related.collect(),
        }
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.related.is_empty()).then(|| {
            Box::new(self.related.iter().map(|part| part as &dyn miette::Diagnostic)) as Box<dyn Iterator<Item = _>>
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::File;
    use std::sync::Arc;

    fn example() -> (Diagnostic, Sources) {
        let (one, two) =
            (File::new("src/a.rs", "#[queue(message = u8)]\nstruct A;\n"), File::new("src/b.rs", "struct A;\n"));
        let diagnostic = Diagnostic::error("UD0201", "two queues are called `a`")
            .label(&one.place(30..31), "one")
            .label(&two.place(7..8), "the other")
            .help("rename one");
        let mut sources = Sources::default();
        sources.add(Arc::new(one));
        sources.add(Arc::new(two));
        (diagnostic, sources)
    }

    #[test]
    fn three_forms() {
        let (diagnostic, sources) = example();
        let style = Style { color: false, width: 80 };
        insta::assert_snapshot!(human(&diagnostic, &sources, &style));
        assert_eq!(short(&diagnostic), "src/a.rs:2:8: error[UD0201]: two queues are called `a`");
        let value: serde_json::Value = serde_json::from_str(&json(&diagnostic)).unwrap();
        assert_eq!(value["labels"][1]["column"], 8);
        assert_eq!(value["help"], "rename one");
    }

    #[test]
    fn a_place_without_source_is_still_shown() {
        let (diagnostic, _) = example();
        let style = Style { color: true, width: 80 };
        assert!(human(&diagnostic, &Sources::default(), &style).contains("two queues"));
    }
}
