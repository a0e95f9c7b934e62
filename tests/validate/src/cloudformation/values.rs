//! Texts that stand in a template and are read by AWS alone.

/// Why a schedule's expression is none; `None` if it is one.
pub(super) fn schedule_error(expression: &str) -> Option<String> {
    let inside = |kind: &str| expression.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    match (inside("cron"), inside("rate")) {
        (Some(fields), _) => cron_error(fields),
        (None, Some(rate)) => {
            let (number, unit) = rate.split_once(' ').unwrap_or((rate, ""));
            let plural = ["minutes", "hours", "days"].contains(&unit);
            let known = match number.parse::<u32>() {
                Ok(1) => ["minute", "hour", "day"].contains(&unit),
                Ok(many) => many > 1 && plural,
                Err(_) => false,
            };
            (!known).then(|| format!("`{rate}` is no rate"))
        }
        (None, None) => Some("neither cron nor a rate".to_owned()),
    }
}

/// Six fields, of which the day of the month or that of the week is `?`.
fn cron_error(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let ranges =
        [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 1, 7), ("year", 1970, 2199)];
    if fields.len() != ranges.len() {
        return Some(format!("{} fields instead of {}", fields.len(), ranges.len()));
    }
    if (fields[2] == "?") == (fields[4] == "?") {
        return Some("one of the two days is `?`".to_owned());
    }
    let bad = fields.iter().zip(ranges).find(|(field, (name, low, high))| {
        let days = *name == "day" || *name == "weekday";
        let known = (days && **field == "?") || field.split(',').all(|part| is_part(part, *low, *high));
        !known
    });
    bad.map(|(field, (name, ..))| format!("`{field}` is no {name}"))
}

/// `*`, a number, a range, or one of them with a step.
fn is_part(part: &str, low: u32, high: u32) -> bool {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| (low..=high).contains(number));
    let known = match range.split_once('-') {
        _ if range == "*" => true,
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
        None => number(range).is_some(),
    };
    known && step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| (1..=high).contains(&step)))
}

#[cfg(test)]
mod tests {
    use super::schedule_error;

    #[test]
    fn schedules_as_the_scheduler_reads_them() {
        for good in [
            "cron(0 3 * * ? *)",
            "cron(0,15 8-18 ? * 2-6 *)",
            "cron(0/5 * 1 1,7 ? 2030)",
            "rate(1 minute)",
            "rate(5 days)",
        ] {
            assert_eq!(schedule_error(good), None, "{good}");
        }
        for bad in [
            "cron(0 25 * * ? *)",
            "cron(0 3 * * * *)",
            "cron(0 3 ? * ? *)",
            "cron(0 3 * * ?)",
            "cron(0 3 0 * ? *)",
            "cron(60 3 * * ? *)",
            "cron(0 3 ? * 0 *)",
            "cron(9-8 3 ? * 1 *)",
            "rate(1 minutes)",
            "rate(0 days)",
            "rate(5)",
            "0 3 * * *",
            "",
        ] {
            assert!(schedule_error(bad).is_some(), "{bad}");
        }
    }
}
