//! Small readings of JSON values and of the formats that stand in strings.

use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// The items of a list; none if it is absent or something else.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The entries of a map; none if it is absent or something else.
pub fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A string; empty if it is absent or something else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a text is a label of RFC 1035: what Services and revisions are named.
pub fn is_label(name: &str) -> bool {
    static LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$").ok());
    LABEL.as_ref().is_some_and(|label| label.is_match(name))
}

/// Whether a text is a subdomain of RFC 1123: what most objects are named.
pub fn is_subdomain(name: &str) -> bool {
    static NAME: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());
    name.len() <= 253 && NAME.as_ref().is_some_and(|pattern| pattern.is_match(name))
}

/// Seconds of Go's duration, `1m30s`; `None` if it is none or negative.
pub fn go_seconds(text: &str) -> Option<f64> {
    static PART: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^(?:([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h))").ok());
    if text == "0" {
        return Some(0.0);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let part = PART.as_ref()?.captures(rest)?;
        let unit = match part.get(2)?.as_str() {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            _ => 3_600.0,
        };
        seconds += part.get(1)?.as_str().parse::<f64>().ok()? * unit;
        rest = &rest[part.get(0)?.end()..];
    }
    (!text.is_empty()).then_some(seconds)
}

/// Seconds of ISO 8601's duration, `PT1M0.5S`; `None` if it is none.
pub fn iso_seconds(text: &str) -> Option<f64> {
    static DURATION: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?$").ok()
    });
    let parts = DURATION.as_ref()?.captures(text)?;
    if text.ends_with(['P', 'T']) {
        return None;
    }
    let units = [(1, 86_400.0), (2, 3_600.0), (3, 60.0), (4, 1.0)];
    let number = |group: usize| parts.get(group).and_then(|part| part.as_str().parse::<f64>().ok()).unwrap_or_default();
    Some(units.iter().map(|(group, unit)| number(*group) * unit).sum())
}

/// A quantity, `100m` or `64Mi`, as a number; `None` if it is none or negative.
pub fn quantity(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return (number >= 0.0).then_some(number);
    }
    let text = value.as_str()?;
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let factor = match &text[end..] {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number * factor)
}

/// Why a text is no cron expression of five fields with numbers; `None` if it is one.
pub fn cron_error(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if text.starts_with('@') {
        let known =
            matches!(text, "@hourly" | "@daily" | "@midnight" | "@weekly" | "@monthly" | "@yearly" | "@annually");
        return (!known).then(|| format!("`{text}` is not allowed"));
    }
    if fields.len() != 5 {
        return Some(format!("{} fields instead of 5", fields.len()));
    }
    let ranges = [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7)];
    for (field, (name, low, high)) in fields.iter().zip(ranges) {
        for part in field.split(',') {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let good_step = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| step > 0));
            let within = |end: &str| end.parse::<u32>().is_ok_and(|number| (low..=high).contains(&number));
            let named = |end: &str| end.len() == 3 && end.chars().all(|c| c.is_ascii_alphabetic()) && low + high != 59;
            let good_range =
                range == "*" || range.split('-').count() <= 2 && range.split('-').all(|end| within(end) || named(end));
            if !good_step || !good_range {
                return Some(format!("`{field}` is no {name}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_quantities_and_cron() {
        assert_eq!(go_seconds("1m30s"), Some(90.0));
        assert_eq!(go_seconds("5"), None);
        assert_eq!(go_seconds(""), None);
        assert_eq!(iso_seconds("PT0.5S"), Some(0.5));
        assert_eq!(iso_seconds("PT1M5S"), Some(65.0));
        for bad in ["PT", "P", "5s", "PT5", ""] {
            assert_eq!(iso_seconds(bad), None, "{bad}");
        }
        assert_eq!(quantity(&"64Mi".into()), Some(67_108_864.0));
        assert_eq!(quantity(&"1 core".into()), None);
        for good in ["0 3 * * *", "*/5 0-6,22 1 JAN MON", "@daily"] {
            assert_eq!(cron_error(good), None, "{good}");
        }
        for bad in ["99 * * * *", "* * * *", "@every 5m", "0 3 * * * *", "1-2-3 * * * *", "*/0 * * * *"] {
            assert!(cron_error(bad).is_some(), "{bad}");
        }
    }
}
