//! A plan as lines.

use super::{Fate, Node, Plan, Resource, Turn, is_stateful, stack};

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Heading,
    /// Something comes.
    Good,
    /// Something changes.
    Change,
    /// Something goes, and nothing is lost by it.
    Gone,
    /// Data is in danger.
    Danger,
    /// More on the line above.
    Detail,
}

/// A line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How it is meant.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

/// Versions of functions come and stay with every change: a line for all of them says as much.
const VERSION: &str = "AWS::Lambda::Version";

/// A plan as people read it. `all` leaves nothing out.
pub fn lines(plan: &Plan, all: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    if !plan.graph.is_empty() {
        lines.push(line(Tone::Heading, "application".to_owned()));
        plan.graph.iter().for_each(|node| lines.extend(of_node(node)));
    }
    if plan.unrecorded {
        lines.push(line(
            Tone::Change,
            "what is live has no record that can be read: applications are not compared".to_owned(),
        ));
    }
    let headings = [
        (Fate::Create, "create"),
        (Fate::Update, "update in place"),
        (Fate::Replace, "replace"),
        (Fate::MayReplace, "update or replace, as AWS decides"),
        (Fate::Delete, "delete"),
        (Fate::Keep, "kept, though no longer in the template"),
    ];
    for (fate, heading) in headings {
        let (versions, named): (Vec<&Resource>, Vec<&Resource>) =
            plan.resources.iter().filter(|resource| resource.fate == fate).partition(|one| !all && one.kind == VERSION);
        if versions.is_empty() && named.is_empty() {
            continue;
        }
        lines.push(line(Tone::Heading, format!("{heading} ({})", versions.len() + named.len())));
        lines.extend(named.into_iter().map(|resource| of_resource(resource, plan)));
        if !versions.is_empty() {
            let one = versions.len() == 1;
            let text = format!(
                "  {} {} {}",
                mark(fate),
                versions.len(),
                if one { "version of a function" } else { "versions of functions" }
            );
            lines.push(line(tone(fate, VERSION), text));
        }
    }
    if !plan.dangers.is_empty() {
        lines.push(line(Tone::Heading, "in danger".to_owned()));
        lines.extend(plan.dangers.iter().map(|danger| line(Tone::Danger, format!("  ! {}", danger.text()))));
    }
    lines
}

fn line(tone: Tone, text: String) -> Line {
    Line { tone, text }
}

fn of_node(node: &Node) -> Vec<Line> {
    let (mark, tone) = match node.turn {
        Turn::Came => ("+", Tone::Good),
        Turn::Changed => ("~", Tone::Change),
        Turn::Went => ("-", Tone::Gone),
    };
    let trigger = if node.trigger.is_empty() { String::new() } else { format!(", {}", node.trigger) };
    let mut lines = vec![line(tone, format!("  {mark} {} {}{trigger}", node.kind, node.id))];
    lines.extend(node.details.iter().map(|detail| line(Tone::Detail, format!("      {detail}"))));
    if !node.renamed.is_empty() {
        let ids: Vec<String> = node.renamed.iter().map(|id| format!("`{id}`")).collect();
        let text = format!(
            "      its id is lost: if {} is it by another name, `name = \"{}\"` keeps it",
            ids.join(" or "),
            node.id
        );
        lines.push(line(Tone::Danger, text));
    }
    lines
}

fn mark(fate: Fate) -> &'static str {
    match fate {
        Fate::Create => "+",
        Fate::Update => "~",
        Fate::Replace | Fate::MayReplace => "±",
        Fate::Delete => "-",
        Fate::Keep => "·",
    }
}

fn tone(fate: Fate, kind: &str) -> Tone {
    match fate {
        Fate::Create => Tone::Good,
        Fate::Update => Tone::Change,
        Fate::Replace | Fate::MayReplace | Fate::Delete if is_stateful(kind) => Tone::Danger,
        Fate::Replace | Fate::MayReplace => Tone::Change,
        Fate::Delete | Fate::Keep => Tone::Gone,
    }
}

fn of_resource(resource: &Resource, plan: &Plan) -> Line {
    let kind = resource.kind.strip_prefix("AWS::").unwrap_or(&resource.kind).replace("::", " ");
    let mut text = format!("  {} {} ({kind})", mark(resource.fate), resource.logical);
    if !resource.part.is_empty() {
        text = format!("{text} in {}", stack(&resource.part));
    }
    // What goes here and comes there moves.
    let comes = |other: &&Resource| other.fate == Fate::Create && other.logical == resource.logical;
    let there = plan.resources.iter().find(comes).filter(|_| matches!(resource.fate, Fate::Delete | Fate::Keep));
    if let Some(there) = there {
        text = format!("{text}, made anew in {}", stack(&there.part));
    }
    if !resource.from.is_empty() {
        text = format!("{text} ← {}", resource.from.join(", "));
    }
    if !resource.changed.is_empty() {
        text = format!("{text}: {}", resource.changed.join(", "));
    }
    line(tone(resource.fate, &resource.kind), text)
}
