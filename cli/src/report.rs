//! What a person or a script sees: diagnostics, status lines, results.

use crate::args::{Color, Global, MessageFormat};
use crate::exit::Failure;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use updraft_driver::render::{self, Style};
use updraft_driver::source::Sources;
use updraft_model::{Diagnostic, Severity};

/// Knows how to say it. Everything but results and JSON goes to standard error.
#[derive(Debug)]
pub(crate) struct Reporter {
    format: MessageFormat,
    quiet: bool,
    verbose: u8,
    color: bool,
    /// Whether standard output takes colours.
    paints: bool,
}

/// A colour, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    None,
    Bold,
    Green,
    Yellow,
    Red,
}

#[allow(dead_code, reason = "some are for commands that start processes")]
impl Reporter {
    pub(crate) fn new(global: &Global) -> Reporter {
        let color = |is_terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        let (color, paints) = (color(stderr().is_terminal()), color(stdout().is_terminal()));
        Reporter { format: global.message_format, quiet: global.quiet, verbose: global.verbose, color, paints }
    }

    /// Whether standard error takes colours.
    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// Whether `-q` was given.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether `--message-format json` was asked for: then standard output carries nothing else.
    pub(crate) fn json(&self) -> bool {
        self.format == MessageFormat::Json
    }

    /// Shows diagnostics, in the order given, and how many there were.
    pub(crate) fn diagnostics(&self, diagnostics: &[Diagnostic], sources: &Sources) {
        let style = Style { color: self.color, width: width() };
        for diagnostic in diagnostics {
            match self.format {
                MessageFormat::Human => write(&mut stderr(), &render::human(diagnostic, sources, &style)),
                MessageFormat::Short => write(&mut stderr(), &render::short(diagnostic)),
                MessageFormat::Json => write(&mut stdout(), &render::json(diagnostic)),
            }
        }
        let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if self.format == MessageFormat::Human && errors + warnings > 0 {
            let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
            let parts: Vec<String> = [(errors, "error"), (warnings, "warning")]
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| plural(count, word))
                .collect();
            self.status("Found", &parts.join(", "));
        }
    }

    /// A line as cargo writes them: a verb at the right of twelve columns.
    pub(crate) fn status(&self, verb: &str, rest: &dyn Display) {
        if self.quiet {
            return;
        }
        let (on, off) = if self.color { ("\x1b[1;32m", "\x1b[0m") } else { ("", "") };
        write(&mut stderr(), &format!("{on}{verb:>12}{off} {rest}"));
    }

    /// The same of something that failed.
    pub(crate) fn trouble(&self, verb: &str, rest: &dyn Display) {
        if self.quiet {
            return;
        }
        let (on, off) = if self.color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        write(&mut stderr(), &format!("{on}{verb:>12}{off} {rest}"));
    }

    /// A line of a result, in a colour where standard output takes them.
    pub(crate) fn painted(&self, paint: Paint, text: &str) {
        let on = match paint {
            Paint::None => "",
            Paint::Bold => "\x1b[1m",
            Paint::Green => "\x1b[32m",
            Paint::Yellow => "\x1b[33m",
            Paint::Red => "\x1b[1;31m",
        };
        let colored = !on.is_empty() && self.paints;
        write(&mut stdout(), &if colored { format!("{on}{text}\x1b[0m") } else { text.to_owned() });
    }

    /// A line for `-v`.
    pub(crate) fn detail(&self, text: &dyn Display) {
        if self.verbose > 0 {
            write(&mut stderr(), &text.to_string());
        }
    }

    /// A command's result, on standard output.
    pub(crate) fn result(&self, text: &str) {
        write(&mut stdout(), text);
    }

    /// Why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = match failure {
            Failure::Diagnostics => return,
            Failure::Failed(text) | Failure::Usage(text) | Failure::Outside(text) => text,
        };
        let (on, off) = if self.color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        write(&mut stderr(), &format!("{on}error{off}: {text}"));
    }
}

/// A closed pipe (`… | head`) is no reason to panic.
fn write(stream: &mut dyn Write, text: &str) {
    let text = text.trim_end_matches('\n');
    let _ = writeln!(stream, "{text}");
}

/// Columns to wrap at.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(100).clamp(40, 140)
}
