//! A database's migrations: which names files have, and the order in which they run. Macros and the source view both ask
//! here, so that neither takes a folder that the other refuses.

use crate::codes;
use crate::diagnostic::{Diagnostic, Sink};
use syn::LitStr;

/// The file beside the migrations that says which of them have been released, and as what.
pub const LOCK: &str = "updraft.lock";

/// Digits of a file that is numbered.
const NUMBER: usize = 4;
/// Digits of a file that is named by a time, `20260131235959`.
const TIME: usize = 14;

/// A file of a folder of migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// What its digits say.
    pub version: i64,
    /// Its whole name, `0001_accounts.sql`.
    pub name: &'a str,
}

/// Something wrong with a folder of migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One of [`codes`].
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// Checks `migrations = "…"`; the folder as it is to be used.
pub(crate) fn folder(literal: &LitStr, sink: &mut Sink) -> String {
    let text = literal.value();
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    if !text.split('/').all(part) {
        sink.push(
            Diagnostic::new(codes::MIGRATIONS_FOLDER, literal, format!("`{text}` can't be a folder of migrations"))
                .label("no folder below the package")
                .help("name a folder beside or below the package's Cargo.toml: `migrations`, `db/ledger`"),
        );
    }
    text
}

/// The migrations among the files of `folder`, in the order in which they run.
///
/// # Errors
/// All that is wrong with the folder.
pub fn order<'a>(folder: &str, files: impl IntoIterator<Item = &'a str>) -> Result<Vec<File<'a>>, Vec<Problem>> {
    let mut names: Vec<&str> =
        files.into_iter().filter(|name| *name != LOCK && *name != "README.md" && !name.starts_with('.')).collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(vec![Problem {
            code: codes::NO_MIGRATIONS,
            message: format!("`{folder}` holds no migrations"),
            help: format!(
                "write the first one, `{folder}/0001_init.sql`, or name another folder: `migrations = \"…\"`"
            ),
        }]);
    }
    let mut problems = Vec::new();
    let mut found: Vec<File<'a>> = Vec::new();
    let digits = names.iter().find_map(|name| read(name)).map_or(NUMBER, |(digits, _)| digits);
    for name in names {
        match read(name) {
            Some((length, version)) if length == digits => found.push(File { version, name }),
            Some(_) => problems.push(name_problem(folder, name, "the others are named in another way")),
            None => problems.push(name_problem(folder, name, "a migration is called `NNNN_name.sql`")),
        }
    }
    for pair in found.windows(2) {
        if pair[0].version == pair[1].version {
            problems.push(order_problem(
                format!("`{}` and `{}` have one number", pair[0].name, pair[1].name),
                "give the later one the next number that is free",
            ));
        }
    }
    if digits == NUMBER && problems.is_empty() {
        for (file, expected) in found.iter().zip(1..) {
            if file.version != expected {
                problems.push(order_problem(
                    format!("the migration {expected:04} is missing before `{}`", file.name),
                    "numbers go on without a gap from 0001: did a file get lost in a merge?",
                ));
                break;
            }
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn name_problem(folder: &str, name: &str, why: &str) -> Problem {
    Problem {
        code: codes::MIGRATION_NAME,
        message: format!("`{folder}/{name}` can't be a migration's name: {why}"),
        help: "call it by four digits, `_`, letters, digits, `_` or `-`, and `.sql`: `0001_accounts.sql`; or all of them by \
               fourteen digits, a time"
            .to_owned(),
    }
}

fn order_problem(message: String, help: &str) -> Problem {
    Problem { code: codes::MIGRATION_ORDER, message, help: help.to_owned() }
}

/// How many digits a name starts with, and the number that they are.
fn read(name: &str) -> Option<(usize, i64)> {
    let (digits, title) = name.strip_suffix(".sql")?.split_once('_')?;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let fits = matches!(digits.len(), NUMBER | TIME) && digits.bytes().all(|b| b.is_ascii_digit());
    (fits && !title.is_empty() && plain(title)).then(|| Some((digits.len(), digits.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(files: &[&str]) -> Vec<i64> {
        order("migrations", files.iter().copied()).unwrap().iter().map(|file| file.version).collect()
    }

    fn problems(files: &[&str]) -> Vec<(&'static str, String)> {
        let problems = order("migrations", files.iter().copied()).unwrap_err();
        problems.into_iter().map(|problem| (problem.code, problem.message)).collect()
    }

    #[test]
    fn files_run_in_the_order_of_their_numbers() {
        assert_eq!(versions(&["0002_b.sql", LOCK, ".keep", "README.md", "0001_a-1.sql"]), [1, 2]);
        assert_eq!(versions(&["20260102030405_b.sql", "20250102030405_a.sql"]), [20250102030405, 20260102030405]);
    }

    #[test]
    fn a_folder_that_is_wrong_is_refused_with_the_reason() {
        assert_eq!(problems(&[LOCK])[0].0, codes::NO_MIGRATIONS);
        for name in ["1_a.sql", "0001.sql", "0001_.sql", "0001_a b.sql", "0001_a.sq", "00001_a.sql", "init.sql"] {
            assert_eq!(problems(&[name])[0].0, codes::MIGRATION_NAME, "{name}");
        }
        assert_eq!(problems(&["0001_a.sql", "20260102030405_b.sql"])[0].0, codes::MIGRATION_NAME);
        let twice = problems(&["0001_a.sql", "0001_b.sql"]);
        assert_eq!(twice, [(codes::MIGRATION_ORDER, "`0001_a.sql` and `0001_b.sql` have one number".to_owned())]);
        let gap = problems(&["0001_a.sql", "0003_c.sql", "0005_e.sql"]);
        assert_eq!(gap, [(codes::MIGRATION_ORDER, "the migration 0002 is missing before `0003_c.sql`".to_owned())]);
        assert!(problems(&["0000_a.sql"])[0].1.contains("0001 is missing"));
    }
}
