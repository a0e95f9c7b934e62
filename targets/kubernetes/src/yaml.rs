//! The one YAML emitter: block style, keys in the order of the structs, and quotes around whatever is not plainly safe.
//!
//! Other emitters write `on`, `1_000`, `0x_1` or `1:30` bare, which readers of YAML 1.1 (kubectl among them) take for
//! values of another type. Here a string stands bare only where no reader of either version can doubt that it is one.

use serde::Serialize;
use serde_yaml::{Mapping, Number, Value};
use std::fmt;
use std::fmt::Write;

/// Why a value can't be written. None of our structs can cause it.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// A value as one YAML document, without the `---` before it.
///
/// ```
/// #[derive(serde::Serialize)]
/// struct Probe { path: &'static str, enabled: &'static str }
/// let text = updraft_kubernetes::yaml::to_string(&Probe { path: "/readyz", enabled: "on" }).unwrap();
/// assert_eq!(text, "path: /readyz\nenabled: 'on'\n");
/// ```
///
/// # Errors
/// If `value` does not serialise, or holds tags or maps whose keys are lists.
pub fn to_string(value: &impl Serialize) -> Result<String, Error> {
    emit(&to_value(value)?)
}

/// Any serialisable value as the one that [`emit`] writes.
///
/// # Errors
/// If `value` does not serialise.
pub fn to_value(value: &impl Serialize) -> Result<Value, Error> {
    serde_yaml::to_value(value).map_err(|error| Error(error.to_string()))
}

/// A value as one YAML document, without the `---` before it.
///
/// # Errors
/// If `value` holds tags or maps whose keys are lists.
pub fn emit(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    node(&mut out, value, 0, Place::Document)?;
    Ok(out)
}

/// What a node follows on its line.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Nothing: the document's root.
    Document,
    /// `key:`.
    Key,
    /// `-`.
    Item,
}

fn node(out: &mut String, value: &Value, indent: usize, place: Place) -> Result<(), Error> {
    let space = if place == Place::Document { "" } else { " " };
    match value {
        Value::Mapping(map) if map.is_empty() => out.push_str(&format!("{space}{{}}\n")),
        Value::Sequence(items) if items.is_empty() => out.push_str(&format!("{space}[]\n")),
        Value::Mapping(map) => mapping(out, map, indent, place)?,
        Value::Sequence(items) => {
            if place != Place::Document {
                out.push('\n');
            }
            for item in items {
                pad(out, indent);
                out.push('-');
                node(out, item, indent + 2, Place::Item)?;
            }
        }
        Value::String(text) if is_literal(text) => literal(out, text, indent, space),
        scalar => {
            let _ = writeln!(out, "{space}{}", scalar_text(scalar)?);
        }
    }
    Ok(())
}

fn mapping(out: &mut String, map: &Mapping, indent: usize, place: Place) -> Result<(), Error> {
    if place == Place::Key {
        out.push('\n');
    }
    for (at, (key, value)) in map.iter().enumerate() {
        match (place, at) {
            (Place::Item, 0) => out.push(' '), // `- first: …`
            _ => pad(out, indent),
        }
        let key = scalar_text(key)?;
        // YAML wants a short form of key to fit into 1,024 characters.
        if key.chars().count() > 1_000 {
            let _ = writeln!(out, "? {key}");
            pad(out, indent);
        } else {
            out.push_str(&key);
        }
        out.push(':');
        // A list's dashes stand under its key's first letter: readers agree, and the lines stay short.
        let deeper = if matches!(value, Value::Sequence(_)) { indent } else { indent + 2 };
        node(out, value, deeper, Place::Key)?;
    }
    Ok(())
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn scalar_text(value: &Value) -> Result<String, Error> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => string_text(text),
        Value::Sequence(_) | Value::Mapping(_) => return Err(Error("a list or map can't be a key".to_owned())),
        Value::Tagged(tagged) => return Err(Error(format!("the tag {} can't be written", tagged.tag))),
    })
}

fn number_text(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    if float.is_nan() {
        return ".nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    // YAML 1.1 wants a point and a signed exponent: `1e100` would be a string there.
    let text = format!("{float:?}");
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    }
}

fn string_text(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.chars().all(is_printable) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

/// Whether every reader takes the bare text for a string: a letter or `/` first, then letters, digits and a few signs,
/// words divided by single spaces, or a number with a unit; and no word that means something.
fn is_plain(text: &str) -> bool {
    let letter_first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./@:-+= ,()".contains(c);
    let divided = !text.ends_with([' ', ':']) && !text.contains("  ") && !text.contains(": ");
    text.len() <= 1_000
        && (is_quantity(text) || letter_first && text.chars().all(safe) && divided && !has_meaning(text))
}

/// `60s`, `100m`, `64Mi`: no reader knows such numbers.
fn is_quantity(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "s" | "m" | "h" | "ms" | "Ki" | "Mi" | "Gi")
}

/// Words that a reader of YAML 1.1 or 1.2 takes for a null, a boolean or a number.
fn has_meaning(text: &str) -> bool {
    const WORDS: [&str; 14] =
        ["null", "nil", "none", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// What a single-quoted text may hold: what YAML calls printable, without breaks, marks of byte order and characters
/// whose direction or width a reader (or a person) may get wrong.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => {
            !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        }
        _ => false,
    }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if (c as u32) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Whether a text of several lines can stand as a literal block and be read back exactly: printable, one break or none
/// at its end, no line that starts the text with a space, ends with one or is empty at the start.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n'])
        && body.lines().all(|line| !line.ends_with([' ', '\r']))
        && body.chars().all(|c| c == '\n' || is_printable(c))
}

fn literal(out: &mut String, text: &str, indent: usize, space: &str) {
    let (body, chomp) = match text.strip_suffix('\n') {
        Some(body) => (body, ""),
        None => (text, "-"),
    };
    let _ = writeln!(out, "{space}|{chomp}");
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(out, indent.max(2));
            out.push_str(line);
        }
        out.push('\n');
    }
}
