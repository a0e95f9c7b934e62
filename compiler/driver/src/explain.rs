//! What `explain CODE` says: every rule's page, gathered from where the rule stands.

use crate::{checks, lower, placement, proof, settings, source};
use updraft_syntax::codes::Page;

/// All pages of the compiler, sorted by code. (A target has pages of its own.)
pub fn pages() -> Vec<Page> {
    let stages = [
        updraft_syntax::codes::PAGES,
        source::codes::PAGES,
        lower::codes::PAGES,
        settings::codes::PAGES,
        placement::codes::PAGES,
        proof::codes::PAGES,
    ];
    let rules = checks::RULES.iter().map(|rule| rule.page);
    let mut pages: Vec<Page> = stages.into_iter().flatten().copied().chain(rules).collect();
    pages.sort_by_key(|page| page.code);
    pages
}

/// A page as Markdown.
pub fn markdown(page: &Page) -> String {
    let example = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("//- env") && !line.starts_with("//- extern"));
        let lines =
            lines.map(|line| line.strip_prefix("//- ").map_or_else(|| line.to_owned(), |file| format!("// {file}")));
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut text = format!("# {}: {}\n\n{}\n", page.code, page.title, page.text);
    if !page.wrong.is_empty() {
        text.push_str(&format!("\n## Wrong\n\n```rust\n{}\n```\n", example(page.wrong)));
        text.push_str(&format!("\n## Right\n\n```rust\n{}\n```\n", example(page.right)));
    }
    text
}
