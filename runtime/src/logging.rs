//! What is logged: `UPDRAFT_LOG`.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// Sets what is logged: `info`, `warn,updraft=debug`, …
const VARIABLE: &str = "UPDRAFT_LOG";

/// What `UPDRAFT_LOG` asks for: a level, or levels by where events come from. `None` if it says nothing: then it is
/// [`DEFAULT`], and a server that starts is spared the reading.
///
/// # Errors
/// If it can't be read, with what it may say.
pub(crate) fn asked() -> Result<Option<Targets>, String> {
    match std::env::var(VARIABLE) {
        Err(_) => Ok(None),
        Ok(text) => read(&text).map(Some),
    }
}

/// What is logged where nobody asked.
pub(crate) const DEFAULT: LevelFilter = LevelFilter::INFO;

fn read(text: &str) -> Result<Targets, String> {
    text.parse().map_err(|error| {
        format!(
            "{VARIABLE} is `{text}`: {error}\nhelp: name a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels \
             by crate or module: `info,updraft=debug`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_or_levels_by_target() {
        let quiet = read("warn").expect("a level");
        assert!(quiet.would_enable("shop", &Level::WARN) && !quiet.would_enable("shop", &Level::INFO));
        let some = read("warn,updraft=debug").expect("levels");
        assert!(some.would_enable("updraft::server", &Level::DEBUG) && !some.would_enable("shop", &Level::INFO));
        let refused = read("updraft=loud").expect_err("no level");
        assert!(refused.contains("UPDRAFT_LOG is `updraft=loud`") && refused.contains("help:"), "{refused}");
    }
}
