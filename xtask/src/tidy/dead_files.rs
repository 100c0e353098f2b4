//! Every Rust file is compiled: reachable by `mod` from something that cargo builds.
//!
//! A file that no `mod` names looks alive and rots; a test file that cargo does not compile guards
//! nothing. Fuzz targets are a workspace of their own, which this one's metadata does not know.

use std::collections::BTreeSet;

use super::scan::words;
use super::tree::Rust;
use super::{Finding, Tree};

/// Folders of workspaces that are not part of this one.
const OTHER_WORKSPACES: [&str; 1] = ["fuzz/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let roots: BTreeSet<String> = tree
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .map(|t| t.source.clone())
        .collect();
    let mut alive = BTreeSet::new();
    let mut open: Vec<String> = roots.iter().cloned().collect();
    while let Some(path) = open.pop() {
        if let Some(file) = tree.rust.iter().find(|file| file.path == path) {
            open.extend(
                children(file, roots.contains(&path), tree)
                    .into_iter()
                    .filter(|child| !alive.contains(child)),
            );
            alive.insert(path);
        }
    }
    let is_ours = |path: &str| !OTHER_WORKSPACES.iter().any(|other| path.starts_with(other));
    let dead = tree
        .rust
        .iter()
        .filter(|file| is_ours(&file.path) && !alive.contains(&file.path));
    let advice = "no `mod` leads here from anything that cargo builds: add one, or delete the file";
    dead.map(|file| Finding::about(&file.path, advice))
        .collect()
}

/// Returns the files that a file declares as its modules.
fn children(file: &Rust, is_root: bool, tree: &Tree) -> Vec<String> {
    let dir = parent(&file.path);
    let home = if is_root {
        dir.to_owned()
    } else {
        file.path.trim_end_matches(".rs").to_owned()
    };
    let mut children = Vec::new();
    for (index, line) in file.scan.code.iter().enumerate() {
        if let Some(path) = quoted_path(file, index) {
            children.push(resolve(dir, path));
        }
        for name in declared(line) {
            children.push(format!("{home}/{name}.rs"));
            children.push(format!("{home}/{name}/mod.rs"));
        }
    }
    children.retain(|child| tree.files.contains(child));
    children
}

/// Returns the names of `mod name;` on a line.
fn declared(line: &str) -> Vec<&str> {
    let words = words(line);
    let pairs = words.windows(2).filter(|pair| {
        let after = line[pair[1].0 + pair[1].1.len()..].trim_start();
        pair[0].1 == "mod" && after.starts_with(';')
    });
    pairs.map(|pair| pair[1].1).collect()
}

/// Returns the path in `#[path = "…"]` or `include!("…")` on a line.
fn quoted_path(file: &Rust, index: usize) -> Option<&str> {
    let code = &file.scan.code[index];
    if !code.contains("#[path = ") && !code.contains("include!(") {
        return None;
    }
    file.lines[index].split('"').nth(1)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Resolves a relative path against a folder, both with `/` between the parts.
pub(super) fn resolve(dir: &str, path: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Package, Target};

    fn dead(files: &[(&str, &str)], root: &str) -> Vec<String> {
        let mut tree = Tree::of(files);
        let target = Target {
            name: "x".into(),
            kind: "lib".into(),
            source: root.into(),
            required_features: Vec::new(),
        };
        tree.packages.push(Package {
            targets: vec![target],
            ..Package::default()
        });
        check(&tree)
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn a_file_that_no_mod_names_is_found() {
        let files = [
            ("x/src/lib.rs", "mod a;\n// mod dead;\nmod inline { }"),
            ("x/src/a.rs", "pub(crate) mod b;"),
            ("x/src/a/b.rs", ""),
            ("x/src/dead.rs", ""),
            ("x/src/b.rs", ""),
            ("fuzz/fuzz_targets/a.rs", ""),
        ];
        assert_eq!(
            dead(&files, "x/src/lib.rs"),
            ["x/src/dead.rs", "x/src/b.rs"]
        );
    }

    #[test]
    fn a_path_attribute_leads_to_its_file() {
        let files = [
            ("x/src/lib.rs", "#[path = \"../shared/a.rs\"]\nmod a;"),
            ("x/shared/a.rs", ""),
        ];
        assert_eq!(dead(&files, "x/src/lib.rs"), [""; 0]);
    }
}
