//! A module is `foo.rs` beside `foo/`: no `mod.rs`, so that an editor's tabs have names.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_bad = |path: &&String| path.ends_with("/mod.rs");
    let advice = |path: &String| {
        let better = path.trim_end_matches("/mod.rs");
        Finding::about(path, format!("move it to {better}.rs"))
    };
    tree.files.iter().filter(is_bad).map(advice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mod_rs_is_told_its_better_name() {
        let tree = Tree::of(&[("src/a/mod.rs", "//! A."), ("src/b.rs", "//! B.")]);
        let found: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(found, ["src/a/mod.rs:1: move it to src/a.rs"]);
    }
}
