//! No tabs and no blanks at the end of a line: they are invisible, and show only in diffs.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in &tree.texts {
        for (index, line) in text.lines.iter().enumerate() {
            if line.contains('\t') {
                findings.push(Finding::error(
                    &text.path,
                    index,
                    "replace the tab by spaces",
                ));
            }
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::error(
                    &text.path,
                    index,
                    "cut the blanks at the line's end",
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_and_blanks_at_the_end_are_found() {
        let tree = Tree::of(&[("a.md", "one\n\ttwo\nthree \nfour\r\n")]);
        let lines: Vec<usize> = check(&tree).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }
}
