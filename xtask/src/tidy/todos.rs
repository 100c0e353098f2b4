//! Debt has a number: a marker like `TODO(#12)` names the issue that will pay it.

use super::scan::words;
use super::{Finding, Tree};

const MARKERS: [&str; 3] = ["TODO", "FIXME", "XXX"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in &tree.texts {
        // In Rust a marker counts in comments only: strings may speak about markers.
        let scanned = tree.rust.iter().find(|file| file.path == text.path);
        let lines = scanned.map_or(&text.lines, |file| &file.scan.comments);
        for (index, line) in lines.iter().enumerate() {
            if let Some(marker) = unnumbered(line) {
                let advice = format!("give it an issue, `{marker}(#12)`, or do it now");
                findings.push(Finding::error(&text.path, index, advice));
            }
        }
    }
    findings
}

/// Returns the first marker of a line that names no issue.
fn unnumbered(line: &str) -> Option<&str> {
    let is_open = |&(at, word): &(usize, &str)| {
        let number = line[at + word.len()..].strip_prefix("(#");
        let is_numbered = number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        MARKERS.contains(&word) && !is_numbered
    };
    words(line).into_iter().find(is_open).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_without_an_issue_is_found_in_comments_and_pages() {
        let source =
            "// TODO: later\n// TODO(#12): later\nlet a = \"TODO\";\n/* FIXME */ let b = 1;\n";
        let tree = Tree::of(&[("a.rs", source), ("a.md", "mktemp XXXXXX, XXX here")]);
        let found: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(found.len(), 3);
        assert!(found[0].starts_with("a.rs:1: give it an issue, `TODO(#12)`"));
        assert!(found[1].starts_with("a.rs:4:"));
        assert!(found[2].starts_with("a.md:1:"));
    }
}
