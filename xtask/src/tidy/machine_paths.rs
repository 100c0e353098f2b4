//! No paths of somebody's machine: what works only in one home directory works nowhere else.

use super::{Finding, Tree};

/// The folders in which people work, without the slash before them: this file is checked too.
const HOMES: [&str; 5] = ["home/", "root/", "Users/", "work/", "workspace/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in &tree.texts {
        for (index, line) in text.lines.iter().enumerate() {
            if HOMES.iter().any(|home| names(line, home)) {
                let advice =
                    "write a path relative to the repository, or find the folder at run time";
                findings.push(Finding::error(&text.path, index, advice));
            }
        }
    }
    findings
}

/// Returns whether a line has an absolute path into `home`.
fn names(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].strip_suffix('/');
        // After a word, a dot or a brace the slash is inside a longer path or an address.
        let is_inside = |c: char| c.is_alphanumeric() || "._-~/})]>*".contains(c);
        before.is_some_and(|before| !before.ends_with(is_inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_into_a_home_is_found_and_a_relative_one_is_not() {
        let page = "`@home/me/x`\nsee https://example.org/home/x\n../root/x and target/work/y\n\"@work/z\"";
        let tree = Tree::of(&[("a.md", &page.replace('@', "/"))]);
        let lines: Vec<usize> = check(&tree).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [1, 4]);
    }
}
