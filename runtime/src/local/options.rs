//! What embedded mode is told from outside: arguments, and the environment that `cargo updraft dev` sets.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The port unless something else is said.
const PORT: u16 = 8080;

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen: loopback; port 0 is any that is free.
    pub address: SocketAddr,
    /// End once nothing is left to do.
    pub once: bool,
    /// The seed of what shall go wrong, if something shall.
    pub chaos: Option<u64>,
    /// Schedules to run at the start, by handler.
    pub now: Vec<String>,
    /// The package's folder: settings and secrets are here.
    pub folder: PathBuf,
    /// Where the state lies.
    pub state: PathBuf,
}

impl Options {
    /// From this process's arguments (`--port`, `--once`, `--now`, `--chaos`) and its environment (`PORT` or `UPDRAFT_PORT`,
    /// `UPDRAFT_ONCE`, `UPDRAFT_NOW`, `UPDRAFT_CHAOS`, `UPDRAFT_STATE_DIR`, and `CARGO_MANIFEST_DIR`, which cargo sets). An
    /// argument wins.
    ///
    /// # Errors
    /// A port or a seed that is none.
    pub fn from_process() -> Result<Self, String> {
        let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
        Self::parse(arguments, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn parse(
        arguments: impl IntoIterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let mut port = variable("UPDRAFT_PORT").or_else(|| variable("PORT"));
        let mut chaos = variable("UPDRAFT_CHAOS");
        let mut once = variable("UPDRAFT_ONCE").is_some_and(|value| value != "0");
        let list = |text: String| text.split(',').map(|id| id.trim().to_owned()).collect::<Vec<_>>();
        let mut now = variable("UPDRAFT_NOW").map(list).unwrap_or_default();

        // A program with a `main` of its own may have arguments of its own: those are passed over.
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            match name.as_str() {
                "--port" => port = value.or_else(|| arguments.next()),
                "--now" => now.extend(value.or_else(|| arguments.next()).map(list).unwrap_or_default()),
                "--once" => once = true,
                "--chaos" => chaos = value.or_else(|| arguments.next()),
                _ => {}
            }
        }
        let port = match port {
            Some(text) => {
                text.parse().map_err(|_| format!("`{text}` is no port\nhelp: a port is a number up to 65535"))?
            }
            None => PORT,
        };
        let no_seed =
            |text: &str| format!("`{text}` is no seed of chaos\nhelp: a seed is a whole number, as in `--chaos 17`");
        let chaos = chaos.map(|text| text.parse().map_err(|_| no_seed(&text))).transpose()?;
        let folder = variable("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let state = variable("UPDRAFT_STATE_DIR").map_or_else(|| folder.join(".updraft"), PathBuf::from);
        Ok(Options { address: (Ipv4Addr::LOCALHOST, port).into(), once, chaos, now, folder, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Options::parse(arguments.iter().map(|argument| (*argument).to_owned()), variable)
    }

    #[test]
    fn arguments_win_over_the_environment() {
        let options = parse(&[], &[]).unwrap();
        assert_eq!((options.address.port(), options.once), (8080, false));
        assert_eq!(options.state, PathBuf::from("./.updraft"));
        let environment = [("PORT", "1"), ("UPDRAFT_ONCE", "1"), ("UPDRAFT_NOW", "a, b"), ("CARGO_MANIFEST_DIR", "/p")];
        let options = parse(&[], &environment).unwrap();
        assert_eq!((options.address.port(), options.once, options.now.len()), (1, true, 2));
        assert_eq!((options.folder, options.state), (PathBuf::from("/p"), PathBuf::from("/p/.updraft")));
        let options = parse(&["mine", "--port=2", "--now", "c"], &environment).unwrap();
        assert_eq!((options.address.port(), options.now.join("")), (2, "abc".to_owned()));
        let chaos = |arguments: &[&str]| parse(arguments, &[("UPDRAFT_CHAOS", "3")]).map(|options| options.chaos);
        assert_eq!((chaos(&[]), chaos(&["--chaos", "17"])), (Ok(Some(3)), Ok(Some(17))));
        assert!(chaos(&["--chaos=much"]).is_err_and(|error| error.contains("`much`")));
        assert!(parse(&["--port", "many"], &[]).is_err_and(|error| error.contains("`many`")));
    }
}
