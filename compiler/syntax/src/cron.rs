//! Cron expressions: five fields (minute, hour, day of month, month, day of week), one dialect for every target.
//!
//! `*`, numbers, `a-b`, `…/n`, lists, names (`jan`–`dec`, `sun`–`sat`), Sunday as 0 or 7. What all targets' own parsers read
//! alike is the canonical form: numbers only, Sunday 0, a step over a range. If both days are restricted, either fires (as
//! everywhere).

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::names::closest;
use proc_macro2::Span;
use std::ops::Range;
use syn::LitStr;

/// A valid expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// In canonical form: `0 3 * * 1-5`.
    pub canonical: String,
    /// Bit *n* of field *i* says that value *n* matches.
    pub fields: [u64; 5],
}

struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { name: "day of the week", least: 0, most: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// A problem with the bytes `range` of the expression.
#[cfg_attr(test, derive(Debug))]
struct Problem {
    range: Range<usize>,
    message: String,
    help: String,
}

/// Reads a literal; everything wrong with it is reported, at its own bytes where they can be told.
pub(crate) fn parse(literal: &LitStr, sink: &mut Sink) -> Option<Cron> {
    match expression(&literal.value()) {
        Ok(cron) => Some(cron),
        Err(problems) => {
            for Problem { range, message, help } in problems {
                let (start, end) = part(literal, range);
                sink.push(Diagnostic {
                    start,
                    end,
                    ..Diagnostic::new(codes::CRON, literal, message).label("in this expression").help(help)
                });
            }
            None
        }
    }
}

/// The place of some bytes of a literal's text: the literal itself where they can't be told (escapes; stable rustc).
pub(crate) fn part(literal: &LitStr, range: Range<usize>) -> (Span, Span) {
    let token = literal.token();
    let repr = token.to_string();
    let plain =
        repr.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|rest| rest == literal.value());
    let inner = plain.then(|| token.subspan(range.start + 1..range.end.max(range.start + 1) + 1)).flatten();
    inner.map_or((literal.span(), literal.span()), |span| (span, span))
}

fn expression(text: &str) -> Result<Cron, Vec<Problem>> {
    let words = words(text);
    if words.len() != 5 {
        let help = match words.len() {
            1 if text.trim_start().starts_with('@') => "write the five fields: `@daily` is `0 0 * * *`",
            6 | 7 => "seconds and years have no field here",
            _ => "minute, hour, day of the month, month, day of the week: `0 3 * * *` is three in the morning",
        };
        let message = format!("a schedule has five fields, this one has {}", words.len());
        return Err(vec![Problem { range: 0..text.len(), message, help: help.into() }]);
    }
    let (mut fields, mut canonical, mut problems) = ([0; 5], Vec::new(), Vec::new());
    for (at, (field, word)) in FIELDS.iter().zip(&words).enumerate() {
        let mut items = Vec::new();
        let mut offset = word.start;
        for item in text[word.clone()].split(',') {
            let range = offset..offset + item.len();
            offset = range.end + 1;
            match field.item(item) {
                Ok((bits, text)) => {
                    fields[at] |= bits;
                    items.push(text);
                }
                Err((message, help)) => problems.push(Problem { range, message, help }),
            }
        }
        canonical.push(items.join(","));
    }
    let [_, _, days, months, _] = fields;
    if problems.is_empty() && canonical[4] == "*" && !possible(days, months) {
        let range = words[2].start..words[3].end;
        let message = format!("there is no such day: `{}`", &text[range.clone()]);
        let help = "none of these months has any of these days, so this would never fire".to_owned();
        problems.push(Problem { range, message, help });
    }
    if problems.is_empty() { Ok(Cron { canonical: canonical.join(" "), fields }) } else { Err(problems) }
}

/// Whether any of the months has any of the days (a leap year counts).
fn possible(days: u64, months: u64) -> bool {
    const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    LENGTHS
        .iter()
        .zip(1..)
        .any(|(length, month)| months & 1 << month != 0 && (1..=*length).any(|day| days & 1 << day != 0))
}

/// Where the words of `text` are.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        match words.last_mut() {
            _ if character.is_whitespace() => {}
            Some(word) if word.end == at => word.end = end,
            _ => words.push(at..end),
        }
    }
    words
}

impl Field {
    /// `*`, `a`, `a-b`, each with `/n`: the values, and the canonical text.
    fn item(&self, item: &str) -> Result<(u64, String), (String, String)> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => (range, Some(step)),
        };
        let step = match step {
            None => None,
            Some(text) => match text.parse::<u8>() {
                Ok(step) if step > 0 && step <= self.most && digits(text) => Some(step),
                _ => {
                    let help = format!("a step is a number from 1 to {}: `*/2`", self.most);
                    return Err((format!("`{text}` is no step for the {}", self.name), help));
                }
            },
        };
        let every = step.unwrap_or(1);
        if range == "*" {
            // Sunday is one day, not two.
            let most = if self.most == 7 { 6 } else { self.most };
            // Parsers differ in whether a day's `*/2` counts as restricted. A range does, for all of them.
            let day = self.most == 7 || self.most == 31;
            let text = match every {
                1 => "*".to_owned(),
                _ if day => format!("{}-{most}/{every}", self.least),
                _ => format!("*/{every}"),
            };
            return Ok((self.bits(self.least, most, every), text));
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let first = self.value(range)?;
                // `5/10` starts at 5 and goes on to the end.
                (first, if step.is_some() { if self.most == 7 { 6 } else { self.most } } else { first })
            }
        };
        if first > last {
            // `fri-sun` is Friday to Sunday, whose other number is 7.
            if self.most == 7 && last == 0 {
                return Ok(self.listed(first, 7, every));
            }
            let help = "write the smaller one first; what goes over the end is two ranges: `22-23,0-2`".to_owned();
            return Err((format!("`{range}` runs backwards"), help));
        }
        Ok(self.listed(first, last, every))
    }

    fn listed(&self, first: u8, last: u8, every: u8) -> (u64, String) {
        let bits = self.bits(first, last, every);
        let text = if first == last {
            (if self.most == 7 { first % 7 } else { first }).to_string()
        } else if self.most == 7 && last == 7 {
            let days: Vec<String> = (0..7).filter(|day| bits & 1 << day != 0).map(|day: u8| day.to_string()).collect();
            days.join(",")
        } else if every == 1 {
            format!("{first}-{last}")
        } else {
            format!("{first}-{last}/{every}")
        };
        (bits, text)
    }

    /// The values from `first` to `last`; Sunday as 7 is 0.
    fn bits(&self, first: u8, last: u8, every: u8) -> u64 {
        let number = |value: u8| if self.most == 7 { value % 7 } else { value };
        (first..=last).step_by(every.into()).fold(0, |bits, value| bits | 1 << number(value))
    }

    fn value(&self, text: &str) -> Result<u8, (String, String)> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.names.iter().position(|name| *name == lower) {
            return Ok(at as u8 + if self.least == 1 { 1 } else { 0 });
        }
        match text.parse::<u8>() {
            Ok(value) if digits(text) && (self.least..=self.most).contains(&value) => Ok(value),
            _ => {
                let help = match closest(&lower, self.names.iter().copied()) {
                    Some(meant) if !digits(text) => format!("did you mean `{meant}`?"),
                    _ if self.names.is_empty() => format!("it is a number from {} to {}", self.least, self.most),
                    _ => format!(
                        "it is a number from {} to {} or a name such as `{}`",
                        self.least, self.most, self.names[1]
                    ),
                };
                Err((format!("`{text}` is no {}", self.name), help))
            }
        }
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        expression(text)
            .map_err(|problems| problems.into_iter().map(|p| p.message).collect::<Vec<_>>())
            .unwrap()
            .canonical
    }

    fn problems(text: &str) -> Vec<(String, String)> {
        let problems = expression(text).unwrap_err();
        problems.into_iter().map(|problem| (text[problem.range].to_owned(), problem.message)).collect()
    }

    #[test]
    fn one_form_for_every_target() {
        for (given, expected) in [
            ("0 3 * * *", "0 3 * * *"),
            ("  0   3\t* * * ", "0 3 * * *"),
            ("*/15 9-17 * * MON-fri", "*/15 9-17 * * 1-5"),
            ("*/1 * * jan,JUL *", "* * * 1,7 *"),
            ("5/10 * * * *", "5-59/10 * * * *"),
            ("0 0 * * 7", "0 0 * * 0"),
            ("0 0 * * 0-7", "0 0 * * 0,1,2,3,4,5,6"),
            ("0 0 * * fri-sun", "0 0 * * 0,5,6"),
            ("0 0 * * 1/2", "0 0 * * 1-6/2"),
            ("0 0 29 2 *", "0 0 29 2 *"),
            ("0 0 31 2 mon", "0 0 31 2 1"),
            ("0 0 1-31/2 * *", "0 0 1-31/2 * *"),
            ("0 0 */2 * */3", "0 0 1-31/2 * 0-6/3"),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
        assert_eq!(expression("0 0 * * 7").unwrap().fields[4], 1);
        assert_eq!(expression("10-20/5 * * * *").unwrap().fields[0], 1 << 10 | 1 << 15 | 1 << 20);
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        for (text, place, message) in [
            ("60 * * * *", "60", "`60` is no minute"),
            ("* 5,24 * * *", "24", "`24` is no hour"),
            ("* * 0 * *", "0", "`0` is no day of the month"),
            ("* * * mai *", "mai", "`mai` is no month"),
            ("* * * * 8", "8", "`8` is no day of the week"),
            ("* 5-3 * * *", "5-3", "`5-3` runs backwards"),
            ("*/0 * * * *", "*/0", "`0` is no step for the minute"),
            ("*/ * * * *", "*/", "`` is no step for the minute"),
            ("+5 * * * *", "+5", "`+5` is no minute"),
            ("5, * * * *", "", "`` is no minute"),
            ("* * * *", "* * * *", "a schedule has five fields, this one has 4"),
            ("@daily", "@daily", "a schedule has five fields, this one has 1"),
            ("0 0 31 2,4 *", "31 2,4", "there is no such day: `31 2,4`"),
            ("0 0 30 feb *", "30 feb", "there is no such day: `30 feb`"),
        ] {
            assert_eq!(problems(text), [(place.to_owned(), message.to_owned())], "{text}");
        }
        assert_eq!(problems("61 25 * * *").len(), 2, "all at once");
    }
}
