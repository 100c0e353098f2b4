//! Crates depend on each other only as the table in ARCHITECTURE.md allows.
//!
//! The table is the fenced block that opens with ```` ```edges ````: one line per crate, `name ->`
//! and the crates it may use, or `*` for any. Only normal and build dependencies count: tests may
//! use the test kit and whatever they test against. Nothing may use a crate that the table marks as
//! the end of a chain by never naming it.

use super::{Finding, Tree};
use crate::workspace::{Kind, Package};

const PAGE: &str = "ARCHITECTURE.md";

/// A line of the table: a crate, what it may use, and where the line stands.
struct Row {
    name: String,
    allowed: Vec<String>,
    index: usize,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rows = rows(tree);
    if rows.is_empty() {
        return vec![Finding::about(
            PAGE,
            "has no table of edges: add a block ```edges",
        )];
    }
    let is_ours = |name: &str| tree.packages.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for row in &rows {
        for name in std::iter::once(&row.name).chain(&row.allowed) {
            if name != "*" && !is_ours(name) {
                let advice = format!("the table of edges names `{name}`, which is no crate here");
                findings.push(Finding::error(PAGE, row.index, advice));
            }
        }
    }
    for package in &tree.packages {
        match rows.iter().find(|row| row.name == package.name) {
            Some(row) => findings.extend(check_package(package, row, &is_ours)),
            None => {
                let advice = format!("add `{}` to the table of edges and the map", package.name);
                findings.push(Finding::about(PAGE, advice));
            }
        }
    }
    findings
}

fn check_package(package: &Package, row: &Row, is_ours: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", package.dir);
    let is_allowed = |name: &str| {
        row.allowed
            .iter()
            .any(|allowed| allowed == name || allowed == "*")
    };
    let used = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != Kind::Dev);
    used.filter(|dependency| is_ours(&dependency.name) && !is_allowed(&dependency.name))
        .map(|dependency| {
            let advice = format!(
                "`{}` may not use `{}`: move the code, or argue for a new edge in {PAGE}",
                package.name, dependency.name
            );
            Finding::about(&manifest, advice)
        })
        .collect()
}

fn rows(tree: &Tree) -> Vec<Row> {
    let Some(page) = tree.text(PAGE) else {
        return Vec::new();
    };
    let lines = page
        .lines
        .iter()
        .enumerate()
        .skip_while(|(_, line)| line.trim() != "```edges");
    lines
        .skip(1)
        .take_while(|(_, line)| line.trim() != "```")
        .filter_map(parse_row)
        .collect()
}

fn parse_row((index, line): (usize, &String)) -> Option<Row> {
    let (name, allowed) = line.split_once("->")?;
    let allowed = allowed
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    Some(Row {
        name: name.trim().to_owned(),
        allowed: allowed.map(str::to_owned).collect(),
        index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    const TABLE: &str = "# A\n```edges\ncore ->\napp -> core\nbench -> *\n```\n";

    fn package(name: &str, uses: &[(&str, Kind)]) -> Package {
        let dependency = |(name, kind): &(&str, Kind)| Dependency {
            name: (*name).to_owned(),
            kind: *kind,
        };
        let dependencies = uses.iter().map(dependency).collect();
        Package {
            name: name.into(),
            dir: name.into(),
            dependencies,
            ..Package::default()
        }
    }

    fn advice(table: &str, core_uses: &[(&str, Kind)]) -> Vec<String> {
        let mut tree = Tree::of(&[(PAGE, table)]);
        tree.packages.push(package("core", core_uses));
        tree.packages.push(package(
            "app",
            &[("core", Kind::Normal), ("serde", Kind::Normal)],
        ));
        tree.packages
            .push(package("bench", &[("app", Kind::Normal)]));
        check(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn an_edge_that_the_table_lacks_is_found() {
        let found = advice(TABLE, &[("app", Kind::Normal)]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("core/Cargo.toml:1: `core` may not use `app`"),
            "{found:?}"
        );
    }

    #[test]
    fn allowed_edges_foreign_crates_and_test_dependencies_are_fine() {
        assert_eq!(advice(TABLE, &[("app", Kind::Dev)]), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        let found = advice("```edges\ncore ->\napp -> core, gone\n```", &[]);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("ARCHITECTURE.md:3: the table of edges names `gone`"));
        assert!(found[1].contains("add `bench`"));
    }

    #[test]
    fn a_page_without_a_table_is_found() {
        assert_eq!(advice("# A\n", &[]).len(), 1);
    }
}
