//! Examples in the documentation compile: a fence marked `ignore` rots unseen.
//!
//! `no_run` compiles, `text` is honest about being no Rust, `compile_fail` is checked.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in &tree.texts {
        let is_page = text.path.ends_with(".md");
        let scanned = tree.rust.iter().find(|file| file.path == text.path);
        let Some(lines) = scanned
            .map(|file| &file.scan.comments)
            .or(is_page.then_some(&text.lines))
        else {
            continue;
        };
        let marked = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| is_ignored(line));
        let advice = "let it compile (`no_run` if it cannot run here), or mark it `text`";
        findings.extend(marked.map(|(index, _)| Finding::error(&text.path, index, advice)));
    }
    findings
}

fn is_ignored(line: &str) -> bool {
    let fence = line.trim_start_matches(['/', '!', ' ', '*']);
    let info = fence.strip_prefix("```").unwrap_or_default();
    info.split([',', ' '])
        .any(|word| word == "ignore" || word.starts_with("ignore-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_example_is_found() {
        let source = "/// ```ignore\n//! ```rust,ignore\n/// ```no_run\n/// they ignore it\n";
        let tree = Tree::of(&[("a.rs", source), ("a.md", "```rust,ignore\n```text\n")]);
        let lines: Vec<(String, usize)> = check(&tree)
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        assert_eq!(
            lines,
            [("a.rs".into(), 1), ("a.rs".into(), 2), ("a.md".into(), 1)]
        );
    }
}
