//! The hostile corpus: strings that other emitters write so that a reader takes them for something else, as values, as keys
//! and as list items, read back by the YAML crate and by PyYAML (YAML 1.1, as kubectl's reader in what matters here).

// Helpers of tests, and a reader that is a program.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods)]

use proptest::prelude::*;
use serde_yaml::{Mapping, Value};
use std::io::Write;
use std::process::{Command, Stdio};
use updraft_kubernetes::yaml;

/// Tokens that mean something in YAML 1.1 or 1.2, or in one of their readers.
#[rustfmt::skip] // a list to read, not a column
const WORDS: &[&str] = &[
    "", " ", "~", "null", "Null", "NULL", "nil", "true", "True", "TRUE", "false", "yes", "Yes", "YES", "no", "on",
    "On", "OFF", "off", "y", "Y", "n", "N", "=", "<<", "<<: *a", ".inf", "-.inf", "+.inf", ".Inf", ".nan", ".NaN",
    "nan", "inf", "Infinity", "0", "-0", "+1", "007", "08", "0o7", "0x1F", "0x_1", "0b1", "0b_1", "1_000", "1_", "_1",
    "1e3", "1e_3", "1_e3", "1E5", "1e+3", ".5", "5.", "1.0", "1.", "-.5", "1.5e3", "12:30", "1:30", "190:20:30",
    "190:20:30.15", "-1:30", "+1:30", "1:2:3", "2001-12-14", "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43.10 -5", "1.2.3", "1-2", "12e03", "0.", "0e0", "685_230.15", "- a", "-", "--", "---", "...",
    "--- a", "? a", "?", "? ", ":", ": ", ":a", "a:", "a: b", "a:b", "a :b", "a #b", "#", "# a", "a#b", "&a", "*a",
    "!a", "!!str a", "|", ">", "|-", "%a", "%YAML 1.1", "@a", "`a", "'", "\"", "''", "\"\"", "'a'", "\"a\"", "a'b",
    "a\"b", "\\", "\\n", "a\\nb", "{", "}", "{a: b}", "[", "]", "[a]", ",", ",a", "a,b", "a, b", "{}", "[]", "a]",
    "a}", " a", "a ", "  ", "a  b", "\t", "a\t", "\ta", "a\tb", "\n", "a\n", "\na", "a\nb", "a\nb\n", "a\n\nb",
    "a\nb\n\n", " a\nb", "a\n b", "a \nb", "a\n \nb", "\n\n", "\r", "a\rb", "a\r\nb", "\u{0}", "\u{7}", "\u{1b}[0m",
    "\u{7f}", "\u{85}", "a\u{85}b", "\u{a0}", "\u{2028}", "\u{2029}", "\u{feff}", "\u{feff}a", "\u{200b}",
    "\u{202e}a", "é", "Straße", "日本", "🦀", "\u{10ffff}", "\u{fffd}", "\u{fffe}", "\u{ffff}", "1", "-1", "0x", "0b",
    "0o", "1s", "60s", "100m", "64Mi", "5h", "1m1", "m", "s", "1e", "e1", "e", "E", "1d", "0s", "00m", "1_0s",
    "sha256:0000", "/updraft/readyz", "//", "/", "http://a.b/c?d=e&f#g", "a/b@sha256:0f", "0 3 * * *", "* * * * *",
    "@daily", "True ", " true", "null ", "yes:", "on: off", "key: [a", "- - a", "a - b", "a -b", "x: y: z", "!",
    "!<tag:x>", "&", "*", "a&b", "a*b", "app.kubernetes.io/name", "autoscaling.knative.dev/min-scale",
    "{{ template }}", "$(VAR)", "${VAR}", "<%= x %>", "C:\\path", "a\u{300}",
];

fn documents(words: &[String]) -> Vec<Value> {
    let text = |word: &String| Value::String(word.clone());
    let keys: Mapping = words.iter().enumerate().map(|(at, word)| (text(word), Value::from(at))).collect();
    let values: Mapping =
        words.iter().enumerate().map(|(at, word)| (Value::String(format!("k{at}")), text(word))).collect();
    let nested: Vec<Value> = words
        .iter()
        .map(|word| {
            let inner: Mapping = [(text(word), Value::Sequence(vec![text(word), Value::Sequence(vec![text(word)])]))]
                .into_iter()
                .collect();
            Value::Mapping(inner)
        })
        .collect();
    vec![
        Value::Mapping(keys),
        Value::Mapping(values),
        Value::Sequence(words.iter().map(text).collect()),
        Value::Sequence(nested),
    ]
}

fn read_back(value: &Value) {
    let text = yaml::emit(value).unwrap();
    let back: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(&back, value, "{text}");
}

/// Each document's text and what a reader must find, as JSON.
fn pyyaml(documents: &[Value]) {
    let script = "
import json, sys
try:
    import yaml
except ImportError:
    sys.exit(77)
bad = 0
for at, case in enumerate(json.load(sys.stdin)):
    found, wanted = yaml.safe_load(case['text']), json.loads(case['wanted'])
    if found != wanted:
        bad += 1
        pairs = zip(found.items(), wanted.items()) if isinstance(found, dict) else zip(found, wanted)
        print(at, [pair for pair in pairs if pair[0] != pair[1]][:5])
sys.exit(1 if bad else 0)";
    let cases: Vec<_> = documents
        .iter()
        .map(|value| serde_json::json!({"text": yaml::emit(value).unwrap(), "wanted": serde_json::to_string(value).unwrap()}))
        .collect();
    let child = Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: no python3 to read the corpus back with");
        return;
    };
    child.stdin.take().unwrap().write_all(serde_json::to_string(&cases).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    match output.status.code() {
        Some(77) => eprintln!("SKIPPED: python3 has no PyYAML to read the corpus back with"),
        code => assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&output.stdout)),
    }
}

/// The words, each within others' reach: alone, between spaces, before and after signs that mean something.
fn corpus() -> Vec<String> {
    let mut words: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
    for word in WORDS {
        for (before, after) in
            [("a ", ""), ("", " b"), ("", ":"), ("-", ""), ("", "_"), ("+", ""), ("", "\n"), ("x\n", ""), ("/", "")]
        {
            words.push(format!("{before}{word}{after}"));
        }
    }
    words.push("long ".repeat(400));
    words.push("k".repeat(1_500));
    words.sort();
    words.dedup();
    words
}

#[test]
fn every_reader_finds_the_same_strings() {
    let documents = documents(&corpus());
    documents.iter().for_each(read_back);
    pyyaml(&documents);
}

#[test]
fn every_short_string_of_the_signs_that_mean_something() {
    let signs =
        ["0", "1", "_", ".", "-", "+", ":", "e", "x", "o", "n", "y", "~", " ", "#", "'", "\"", "=", "<", "!", "\n"];
    let mut words: Vec<String> = Vec::new();
    for a in signs {
        for b in signs {
            words.push(format!("{a}{b}"));
            words.extend(signs.iter().map(|c| format!("{a}{b}{c}")));
        }
    }
    let documents = documents(&words);
    documents.iter().for_each(read_back);
    pyyaml(&documents);
}

#[test]
fn numbers_and_other_scalars() {
    let values = [0.5, 1e100, 1e-7, -2.5e20, 3.0, f64::MAX, f64::MIN_POSITIVE];
    let mut all: Vec<Value> = values.iter().map(|value| Value::from(*value)).collect();
    all.extend([Value::from(i64::MIN), Value::from(u64::MAX), Value::from(0), Value::Null, Value::Bool(true)]);
    let all = vec![Value::Sequence(all)];
    all.iter().for_each(read_back);
    pyyaml(&all);
}

#[test]
fn safe_strings_stay_bare() {
    for text in ["web", "/_updraft/readyz", "60s", "64Mi", "registry.example.com/shop@sha256:0f", "http://a.b.c/d"] {
        assert_eq!(yaml::emit(&Value::String(text.to_owned())).unwrap(), format!("{text}\n"));
    }
}

proptest! {
    #[test]
    fn any_string_reads_back(word in any::<String>(), other in "[ -~\n]{0,12}") {
        documents(&[word]).iter().for_each(read_back);
        documents(&[other]).iter().for_each(read_back);
    }
}
