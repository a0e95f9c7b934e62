//! Failures, with the place in the source that they come from.

use super::Names;
use crate::exit::Failure;
use updraft_aws_deploy::plan::Danger;
use updraft_aws_deploy::{Error, Failed, Outcome};
use updraft_driver::Checked;
use updraft_model::{Diagnostic, Explain, Kind, Place};

/// Pages of the codes here.
pub(crate) const EXPLAINS: &[Explain] = &[
    Explain {
        code: "UD2101",
        title: "a resource that AWS did not make, change or delete",
        text: "\
CloudFormation makes all of a deployment or nothing of it. One of its resources failed, so it went back to what there was
before (or, of a first deployment, to nothing). The message has the first that failed, in AWS's own words; those that failed
after it were cancelled because of it, more often than not.

Put right what AWS names, and run `cargo updraft deploy` again: what is uploaded is found again.

If going back failed too, the stack is `UPDATE_ROLLBACK_FAILED`, and nothing can be changed until it is back:
`cargo updraft rollback` goes on with it.
",
    },
    Explain {
        code: "UD2102",
        title: "a deployment that would leave data or an address behind",
        text: "\
Tables, buckets, queues, topics and secrets keep what people want back, and so may any type that Updraft does not make, in a
stack that is taken over. Some of their properties can't be changed: AWS makes
another, empty resource instead, and the application goes on with that one. The same happens when a resource is renamed: its
id is what the stack knows it by, so the old one leaves the template and a new one comes. Where what is live has no record that
can be read, that is all that is known, and any two of a type are taken for one that was renamed.

```rust
#[store(key = String, value = u32, name = \"stock\")]   // what it was called before
pub struct Inventory;
```

keeps an id across a rename. Where the data may stay behind, `--allow-replacement` says so. What leaves the template is not
deleted where it holds data (topics excepted, which hold none): it stays in the account, and `cargo updraft diff` lists it.

With `data = \"module\"` in `[target.aws-lambda]` what a module declares is in a stack of the module's, and without it in the main
one. It is made anew where that setting changes, or the module's name: leave both as they were.

The address of a function's URL (`http = \"function-url\"`) is AWS's to choose, and of one function: it is another when the function
is, which it is from a zip to an image (`package`) and under another unit's name. Nobody answers at the old one then. A domain of
your own, in front of it, stays the same.
",
    },
];

/// Nothing has been touched yet.
pub(crate) fn nothing_changed(error: &Error) -> Failure {
    let text = format!("{error}\n\nNothing was changed.");
    match error {
        Error::NoRegion | Error::Credentials(_) | Error::ForeignStack { .. } | Error::NoStack { .. } => {
            Failure::Usage(text)
        }
        _ => Failure::Outside(text),
    }
}

/// What was refused, a diagnostic each.
pub(crate) fn refused(dangers: &[Danger], checked: Option<&Checked>, names: &Names) -> Vec<Diagnostic> {
    let one = |danger: &Danger| {
        let diagnostic = Diagnostic::error("UD2102", danger.text());
        let declared = |from: &[String]| match checked {
            Some(checked) => labelled(diagnostic.clone(), checked, from, "declared here"),
            None => diagnostic.clone(),
        };
        let (diagnostic, keep) = match danger {
            Danger::Replaced { from, .. } | Danger::Deleted { from, .. } | Danger::Left { from, .. } => {
                (declared(from), String::new())
            }
            Danger::Readdressed { from, .. } => (
                declared(from),
                "a function's URL is of one function: `package` and the unit's name as they were keep both; ".to_owned(),
            ),
            Danger::Moved { from, .. } => (
                declared(from),
                "`data` in `[target.aws-lambda]` and the module's name say which stack it is in: as they were, it stays there; "
                    .to_owned(),
            ),
            Danger::Lost { kind, id, new } => {
                let resources = checked.into_iter().flat_map(|checked| &checked.app.resources);
                let places = resources.filter(|one| one.kind == *kind && new.contains(&one.id));
                let diagnostic =
                    places.fold(diagnostic, |all, new| all.label(&new.place, "is it this one, by another name?"));
                (diagnostic, format!("`name = \"{id}\"` in its attribute keeps what it was known by; "))
            }
        };
        let rest = match danger {
            Danger::Deleted { .. } | Danger::Replaced { deleted: true, .. } => ", and what it keeps is gone then",
            Danger::Replaced { .. } | Danger::Lost { .. } | Danger::Left { .. } | Danger::Moved { .. } => {
                ", and leaves the data where it is"
            }
            Danger::Readdressed { .. } => ", and whoever knows the old address has to be told the new one",
        };
        diagnostic.help(format!(
            "the stack {} was left as it is; {keep}--allow-replacement goes through with it{rest}",
            names.stack
        ))
    };
    dangers.iter().map(one).collect()
}

/// What failed in the stack; `is_sequence` if it is one of several that were to be changed one after the other.
pub(crate) fn failed(
    failed: Option<&Failed>,
    outcome: &Outcome,
    checked: Option<&Checked>,
    stack: &str,
    is_sequence: bool,
) -> Diagnostic {
    let status = outcome.stack.as_ref().map_or("gone", |stack| &*stack.status);
    let after = match status {
        "UPDATE_ROLLBACK_COMPLETE" => format!("the stack {stack} is what it was before"),
        "ROLLBACK_COMPLETE" => "what had been made is gone again; the next deployment begins anew".to_owned(),
        "UPDATE_ROLLBACK_FAILED" => format!(
            "going back failed too, and the stack {stack} stays {status}: put right what is named, then `cargo updraft rollback` goes on \
             with it"
        ),
        "DELETE_FAILED" if is_sequence => format!("the rest of the stack {stack} is deleted; the next run tries again"),
        "DELETE_FAILED" => format!("the rest of the stack {stack} is deleted; `cargo updraft remove` tries again"),
        status => format!("the stack {stack} is {status}"),
    };
    let after = if is_sequence {
        format!(
            "{after}; others may have turned before it: `cargo updraft status` says so, and the next `deploy` or `rollback` goes on from there"
        )
    } else {
        after
    };
    let Some(failed) = failed else {
        let reason = outcome.stack.as_ref().map_or("", |stack| &*stack.reason);
        return Diagnostic::error("UD2101", format!("the stack {stack} is {status}: {reason}")).help(after);
    };
    let of = if failed.from.is_empty() { String::new() } else { format!(" of {}", failed.from.join(", ")) };
    let message = format!("AWS could not {} {} ({}){of}: {}", failed.tried, failed.logical, failed.kind, failed.reason);
    let diagnostic = Diagnostic::error("UD2101", message);
    let diagnostic = match checked {
        Some(checked) => labelled(diagnostic, checked, &failed.from, "it is there for this"),
        None => diagnostic,
    };
    diagnostic.help(match failed.help {
        Some(help) => format!("{after}; {help}"),
        None => after,
    })
}

fn labelled(diagnostic: Diagnostic, checked: &Checked, from: &[String], text: &str) -> Diagnostic {
    let places = from.iter().filter_map(|origin| place(origin, checked));
    places.fold(diagnostic, |diagnostic, place| diagnostic.label(place, text))
}

/// Where an origin is declared: `queue orders`, `consumer shop::orders::ship`, `unit shop-orders-ship`.
fn place<'a>(origin: &str, checked: &'a Checked) -> Option<&'a Place> {
    let (kind, id) = origin.split_once(' ')?;
    if kind == "unit" {
        let unit = checked.units.iter().find(|unit| unit.id == id)?;
        return unit.handlers.iter().find_map(|id| checked.app.handler(id)).map(|handler| &handler.place);
    }
    let resource = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let resource = resource.and_then(|kind| checked.app.resource(kind, id)).map(|resource| &resource.place);
    resource.or_else(|| checked.app.handler(id).map(|handler| &handler.place))
}
