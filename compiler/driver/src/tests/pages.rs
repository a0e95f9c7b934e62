//! Every code is unique, and each page's wrong example yields exactly that code, its right one nothing.

use super::{check, codes};
use crate::explain;

#[test]
fn codes_are_unique_and_of_their_scheme() {
    let pages = explain::pages();
    for pair in pages.windows(2) {
        assert_ne!(pair[0].code, pair[1].code, "a code is a contract");
    }
    for page in pages {
        let digits = page.code.strip_prefix("UD").or_else(|| page.code.strip_prefix("UW"));
        assert!(
            digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit())),
            "{}",
            page.code
        );
        assert!(!page.title.is_empty() && !page.text.is_empty(), "{}", page.code);
    }
}

#[test]
fn examples_show_what_they_say() {
    // The grammar tests its own pages; the proof needs a linked binary.
    let tested =
        explain::pages().into_iter().filter(|page| !page.code.starts_with("UD00") && !page.code.starts_with("UD04"));
    let mut wrong = Vec::new();
    for page in tested {
        let found = codes(page.wrong);
        if found != [page.code] {
            wrong.push(format!("{}: wrong gives {found:?}", page.code));
        }
        let fixed: Vec<String> = check(page.right).diagnostics.iter().map(crate::render::short).collect();
        if !fixed.is_empty() {
            wrong.push(format!("{}: right gives {fixed:?}", page.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_render() {
    for page in explain::pages() {
        let text = explain::markdown(&page);
        assert!(text.starts_with(&format!("# {}: ", page.code)) && !text.contains("//- "), "{text}");
    }
}
