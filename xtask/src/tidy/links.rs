//! Every page is reachable, and every relative link leads somewhere.
//!
//! A reader starts at README.md, ARCHITECTURE.md or CONTRIBUTING.md. A page under `docs/` that none
//! of them leads to, be it over other pages, is not read and not kept true.

use std::collections::BTreeSet;

use super::dead_files::resolve;
use super::tree::Text;
use super::{Finding, Tree};

const ENTRANCES: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in pages(tree) {
        for (index, target) in links(page) {
            if !exists(tree, &target) {
                let advice = format!("the link leads to {target}, which is not there");
                findings.push(Finding::error(&page.path, index, advice));
            }
        }
    }
    // Before there is a README there is no entrance for users, and pages cannot hang on it.
    if tree.text("README.md").is_some() {
        findings.extend(unreachable(tree));
    }
    findings
}

fn unreachable(tree: &Tree) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<String> = ENTRANCES.map(String::from).to_vec();
    while let Some(path) = open.pop() {
        if let Some(page) = tree.text(&path).filter(|_| seen.insert(path.clone())) {
            open.extend(links(page).into_iter().map(|(_, target)| target));
            // A link to a folder leads to its index.
            open.extend(
                links(page)
                    .into_iter()
                    .map(|(_, target)| format!("{target}/README.md")),
            );
        }
    }
    let pages = pages(tree).filter(|page| page.path.starts_with("docs/"));
    let advice = "no page leads here from README.md or ARCHITECTURE.md: link it, or delete it";
    pages
        .filter(|page| !seen.contains(&page.path))
        .map(|page| Finding::about(&page.path, advice))
        .collect()
}

fn pages(tree: &Tree) -> impl Iterator<Item = &Text> {
    tree.texts.iter().filter(|text| text.path.ends_with(".md"))
}

fn exists(tree: &Tree, target: &str) -> bool {
    let folder = format!("{target}/");
    tree.files.contains(target)
        || tree
            .files
            .range(folder.clone()..)
            .next()
            .is_some_and(|path| path.starts_with(&folder))
}

/// Returns the relative links of a page as paths from the root, each with its line.
fn links(page: &Text) -> Vec<(usize, String)> {
    let dir = page.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut links = Vec::new();
    for (index, line) in super::markdown::prose(&page.lines) {
        for part in line.split("](").skip(1) {
            let target = part.split([')', '#', ' ']).next().unwrap_or_default();
            let is_local = !target.is_empty() && !target.contains(':');
            if is_local {
                links.push((index, resolve(dir, target)));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files))
            .iter()
            .map(Finding::to_string)
            .collect()
    }

    #[test]
    fn a_page_that_nothing_leads_to_is_found() {
        let files = [
            ("README.md", "[a](docs/a.md) [f](docs/features)"),
            ("docs/a.md", "[b](b.md#part)"),
            ("docs/b.md", ""),
            ("docs/dead.md", ""),
            ("docs/features/README.md", ""),
        ];
        let found = found(&files);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("docs/dead.md:1: no page leads here"),
            "{found:?}"
        );
    }

    #[test]
    fn a_broken_link_is_found_and_foreign_ones_are_left_alone() {
        let page = "\n[x](docs/x.md) [y](https://example.org/y) [z](#z)\n```\n[w](w.md)\n```\n";
        let found = found(&[("ARCHITECTURE.md", page)]);
        assert_eq!(
            found,
            ["ARCHITECTURE.md:2: the link leads to docs/x.md, which is not there"]
        );
    }
}
