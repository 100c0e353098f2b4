//! Every page has exactly one title, so that lists of pages and search results have a name for it.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in tree.texts.iter().filter(|text| text.path.ends_with(".md")) {
        let titles: Vec<usize> = prose(&page.lines)
            .filter(|(_, line)| line.starts_with("# "))
            .map(|(index, _)| index)
            .collect();
        match titles.as_slice() {
            [_] => {}
            [] => findings.push(Finding::about(&page.path, "give the page a title: `# …`")),
            [_, second, ..] => {
                let advice = "a page has one title: make this a `##`";
                findings.push(Finding::error(&page.path, *second, advice));
            }
        }
    }
    findings
}

/// Returns the lines of a page that are outside fenced code.
pub(super) fn prose(lines: &[String]) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<String> = None;
    lines.iter().enumerate().filter_map(move |(index, line)| {
        let start = line.trim_start();
        let ticks: String = start.chars().take_while(|c| *c == '`').collect();
        match &fence {
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => return Some((index, line.as_str())),
            // A fence is closed by as many ticks, or more, and nothing else.
            Some(open) if ticks.len() >= open.len() && ticks == start.trim_end() => fence = None,
            Some(_) => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_a_title_or_with_two_is_found() {
        let tree = Tree::of(&[
            ("good.md", "# A\n```sh\n# a comment\n```\n## B\n"),
            ("none.md", "## B\n"),
            ("two.md", "# A\n\n# B\n"),
        ]);
        let lines: Vec<(String, usize)> = check(&tree)
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        assert_eq!(lines, [("none.md".into(), 0), ("two.md".into(), 3)]);
    }
}
