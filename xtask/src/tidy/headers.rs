//! Every Rust file begins with `//!`: what it owns, the invariant it keeps, what is not here.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let lacks = |lines: &[String]| {
        let first = lines.iter().find(|line| !line.trim().is_empty());
        !first.is_some_and(|line| line.starts_with("//!"))
    };
    let files = tree.rust.iter().filter(|file| lacks(&file.lines));
    let advice = "begin the file with `//!`: say in a line or more what it holds and why";
    files
        .map(|file| Finding::about(&file.path, advice))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! Holds a.\n"),
            ("b.rs", "use a;\n//! Too late.\n"),
            ("c.rs", ""),
        ]);
        let paths: Vec<String> = check(&tree)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(paths, ["b.rs", "c.rs"]);
    }
}
