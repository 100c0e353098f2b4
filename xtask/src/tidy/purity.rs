//! The pure crates stay pure: no runtime, no sockets, no clock, no randomness.
//!
//! Decisions that take time and chance as arguments can be tested as tables and driven by a
//! simulation. One call to the clock deep inside ends that, and nobody would see it in a review.

use super::{Finding, Tree};
use crate::workspace::Kind;

const PURE: [&str; 2] = ["larder-core", "larder-resp"];

/// Crates that bring a runtime, sockets, clocks or randomness.
const IMPURE_CRATES: [&str; 13] = [
    "tokio",
    "tokio-util",
    "async-std",
    "smol",
    "mio",
    "socket2",
    "rustix",
    "libc",
    "rand",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
];

/// Code that reaches the outside; `std::time::Duration` is a number and fine.
const IMPURE_CODE: [&str; 11] = [
    "tokio::",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "rand::",
    "getrandom",
    "Instant::now",
    "SystemTime::now",
    "RandomState",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    PURE.iter()
        .flat_map(|name| check_crate(tree, name))
        .collect()
}

fn check_crate(tree: &Tree, name: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.packages.iter().filter(|package| package.name == name) {
        for dependency in package.dependencies.iter().filter(|d| d.kind != Kind::Dev) {
            if IMPURE_CRATES.contains(&dependency.name.as_str()) {
                let advice = format!("`{name}` is pure and may not use `{}`", dependency.name);
                findings.push(Finding::about(
                    &format!("{}/Cargo.toml", package.dir),
                    advice,
                ));
            }
        }
    }
    let src = format!("crates/{name}/src/");
    for file in tree.rust.iter().filter(|file| file.path.starts_with(&src)) {
        for (index, line) in file
            .scan
            .code
            .iter()
            .enumerate()
            .filter(|(i, _)| !file.in_test[*i])
        {
            if let Some(code) = IMPURE_CODE.iter().find(|code| mentions(line, code)) {
                let code = code.trim_end_matches(':');
                let advice = format!("`{name}` is pure: take what `{code}` gives as an argument");
                findings.push(Finding::error(&file.path, index, advice));
            }
        }
    }
    findings
}

/// Returns whether a line has `code` at the beginning of a word.
fn mentions(line: &str, code: &str) -> bool {
    line.match_indices(code)
        .any(|(at, _)| !line[..at].ends_with(super::scan::is_word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, Package};

    #[test]
    fn the_outside_is_found_in_pure_code_and_nowhere_else() {
        let source = "//! tokio::\nuse std::net::IpAddr;\nlet a = Instant::now();\nlet operand::A = b;\n\
            #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        let tree = Tree::of(&[
            ("crates/larder-core/src/a.rs", source),
            ("crates/larder/src/a.rs", source),
            ("crates/larder-core/tests/it/main.rs", source),
        ]);
        let lines: Vec<(String, usize)> = check(&tree)
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        let path = "crates/larder-core/src/a.rs";
        assert_eq!(lines, [(path.into(), 2), (path.into(), 3)]);
    }

    #[test]
    fn an_impure_dependency_is_found_unless_it_is_for_tests() {
        let depends = |name: &str, kind| Dependency {
            name: name.into(),
            kind,
        };
        let mut tree = Tree::default();
        tree.packages.push(Package {
            name: "larder-resp".into(),
            dir: "crates/larder-resp".into(),
            dependencies: vec![
                depends("bytes", Kind::Normal),
                depends("tokio", Kind::Normal),
                depends("rand", Kind::Dev),
            ],
            ..Package::default()
        });
        let found: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        let advice = "`larder-resp` is pure and may not use `tokio`";
        assert_eq!(
            found,
            [format!("crates/larder-resp/Cargo.toml:1: {advice}")]
        );
    }
}
