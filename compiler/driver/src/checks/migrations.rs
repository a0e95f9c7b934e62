//! Databases' migrations: the folder, the files' names, their numbers, and whether one that was released has changed since.

use super::{Context, Rule};
use updraft_model::{Diagnostic, Sink};
use updraft_syntax::codes::{MIGRATION_NAME, MIGRATION_ORDER, NO_MIGRATIONS, Page};
use updraft_syntax::migrations::LOCK;

const EDITED: &str = "UD0223";

macro_rules! example {
    ($files:literal) => {
        concat!(
            "//- src/main.rs\nuse updraft::prelude::*;\n#[database]\nstruct Ledger;\n#[http(get, \"/\")]\nasync fn index(db: Database<Ledger>) -> String { String::new() }\nupdraft::main!();\n",
            $files
        )
    };
}

const RIGHT: &str = example!("//- migrations/0001_accounts.sql\nCREATE TABLE account (id bigint PRIMARY KEY);");

pub(super) const NONE: Rule = Rule {
    page: Page {
        code: NO_MIGRATIONS,
        title: "a database has no migrations",
        text: "A database's tables are made by its migrations: SQL files in a folder beside the package's Cargo.toml, \
               `migrations` unless the attribute names another. They are built into the program and run once, in order, before it is \
               ready. A database without any is most likely one whose folder has another name.",
        wrong: example!(""),
        right: RIGHT,
    },
    check: |context, sink| problems(context, NO_MIGRATIONS, sink),
    needs_all: false,
};

pub(super) const NAME: Rule = Rule {
    page: Page {
        code: MIGRATION_NAME,
        title: "a migration's file has no name of one",
        text: "Migrations are called `NNNN_name.sql`, with four digits: the number says when a file's turn is, the name is for people. \
               A folder whose files all start with fourteen digits, a time, is taken as well. Anything else in the folder is refused \
               rather than passed over: a migration must not be forgotten because of its name.",
        wrong: example!("//- migrations/accounts.sql\nCREATE TABLE account (id bigint PRIMARY KEY);"),
        right: RIGHT,
    },
    check: |context, sink| problems(context, MIGRATION_NAME, sink),
    needs_all: false,
};

pub(super) const ORDER: Rule = Rule {
    page: Page {
        code: MIGRATION_ORDER,
        title: "migrations' numbers have a gap, or one twice",
        text: "Numbers go on from 0001 without a gap and without one twice. Two branches that each add a migration make the one, a file \
               that a merge lost makes the other; either way databases would come out different.",
        wrong: example!(
            "//- migrations/0001_accounts.sql\nCREATE TABLE account (id bigint PRIMARY KEY);\n//- migrations/0003_owners.sql\nALTER TABLE account ADD owner text;"
        ),
        right: example!(
            "//- migrations/0001_accounts.sql\nCREATE TABLE account (id bigint PRIMARY KEY);\n//- migrations/0002_owners.sql\nALTER TABLE account ADD owner text;"
        ),
    },
    check: |context, sink| problems(context, MIGRATION_ORDER, sink),
    needs_all: false,
};

pub(super) const CHANGED: Rule = Rule {
    page: Page {
        code: EDITED,
        title: "a migration that was released has changed",
        text: "`cargo updraft build` writes into `updraft.lock`, beside the migrations, what it released; the file is committed. From \
               then on databases may have run those migrations, and an edit would reach only the databases that have not: so an edit, a \
               removal, or a file put before them is refused. What is to change in the database is said by a new migration. (The program \
               itself refuses a database that ran another text under the same number.) A release that was never deployed can be taken \
               back by deleting its lines from the lock.",
        wrong: example!(
            "//- migrations/0001_accounts.sql\nCREATE TABLE account (id bigint PRIMARY KEY, owner text);\n//- migrations/updraft.lock\n9cda2b06403a50d158ebd2a2793eafc1b83ec5f738bd01433dacd01a1e520d91 0001_accounts.sql"
        ),
        right: example!(
            "//- migrations/0001_accounts.sql\nCREATE TABLE account (id bigint PRIMARY KEY);\n//- migrations/0002_owners.sql\nALTER TABLE account ADD owner text;\n//- migrations/updraft.lock\n9cda2b06403a50d158ebd2a2793eafc1b83ec5f738bd01433dacd01a1e520d91 0001_accounts.sql"
        ),
    },
    check: changed,
    needs_all: false,
};

fn problems(context: &Context<'_>, code: &str, sink: &mut Sink) {
    for migrations in context.migrations {
        for problem in migrations.problems.iter().filter(|problem| problem.code == code) {
            sink.push(
                Diagnostic::error(problem.code, problem.message.clone())
                    .label(&migrations.place, "of this database")
                    .help(problem.help.clone()),
            );
        }
    }
}

fn changed(context: &Context<'_>, sink: &mut Sink) {
    for migrations in context.migrations.iter().filter(|migrations| migrations.problems.is_empty()) {
        let folder = &migrations.folder;
        let mut push = |message: String, help: &str| {
            sink.push(Diagnostic::error(EDITED, message).label(&migrations.place, "of this database").help(help));
        };
        for (line, name, hash) in &migrations.locked {
            let lock = format!("line {line} of {LOCK}");
            match migrations.files.iter().find(|(file, _)| file == name) {
                None => push(
                    format!("the migration `{folder}/{name}` was released ({lock}) and is gone"),
                    "bring it back; what it did is undone by a new migration",
                ),
                Some((_, now)) if now != hash => push(
                    format!("the migration `{folder}/{name}` was released ({lock}) and has been edited since"),
                    "take the edit back and say what is to change in a new migration",
                ),
                Some(_) => {}
            }
        }
        let Some((_, last, _)) = migrations.locked.last() else { continue };
        let known = |name: &str| migrations.locked.iter().any(|(_, locked, _)| locked == name);
        for (name, _) in migrations.files.iter().filter(|(name, _)| name < last && !known(name)) {
            push(
                format!("the migration `{folder}/{name}` comes before `{last}`, which was released"),
                "give it a later number: databases that ran the later one would run it out of turn",
            );
        }
    }
}
