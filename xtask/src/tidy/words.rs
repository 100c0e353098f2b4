//! One word, one meaning: names use the words of GLOSSARY.md, not their synonyms.
//!
//! Refused are the words in `code font` in the last column of the glossary's tables, and only in
//! names that we define: what other crates call their things is theirs. Words in that column
//! without code font are advice, because they have other honest uses.

use super::scan;
use super::tree::Rust;
use super::{Finding, Tree};

const PAGE: &str = "GLOSSARY.md";

/// Names that contain a refused word and are right all the same, each with the reason.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "get_with_fallback",
    "a name from the requirements, kept so that its readers find it",
)];

/// Keywords after which a name is defined.
const DEFINING: [&str; 12] = [
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "type",
    "mod",
    "const",
    "static",
    "let",
    "mut",
    "macro_rules",
];

/// A refused word and the one to use.
struct Ban {
    refused: String,
    better: String,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let bans = bans(tree);
    tree.rust
        .iter()
        .flat_map(|file| check_file(file, &bans))
        .collect()
}

fn check_file(file: &Rust, bans: &[Ban]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.scan.code.iter().enumerate() {
        for name in defined(line) {
            let parts = split(name);
            let is_excepted = EXCEPTIONS.iter().any(|(excepted, _)| *excepted == name);
            let ban = bans.iter().find(|ban| parts.contains(&ban.refused));
            if let Some(ban) = ban.filter(|_| !is_excepted) {
                let advice = format!(
                    "`{name}`: {PAGE} says `{}`, not `{}`",
                    ban.better, ban.refused
                );
                findings.push(Finding::error(&file.path, index, advice));
            }
        }
    }
    findings
}

/// Returns the names that a line defines: items, variables and public fields.
fn defined(line: &str) -> Vec<&str> {
    let words = scan::words(line);
    let mut names = Vec::new();
    for (position, (at, name)) in words.iter().enumerate() {
        let before = position.checked_sub(1).map(|previous| words[previous].1);
        let is_item = before.is_some_and(|word| DEFINING.contains(&word));
        let is_public = line.trim_start().starts_with("pub") && (1..=2).contains(&position);
        let after = &line[at + name.len()..];
        let is_field = is_public && after.starts_with(':') && !after.starts_with("::");
        if is_item || is_field {
            names.push(*name);
        }
    }
    names
}

/// Splits `snake_case` and `CamelCase` into lower-case words.
fn split(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && after_lower) {
            parts.push(String::new());
        }
        if character != '_' {
            parts
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|part| part.extend(character.to_lowercase()));
        }
        after_lower = character.is_lowercase() || character.is_ascii_digit();
    }
    parts
}

/// Reads the tables `| word | meaning | not |`.
fn bans(tree: &Tree) -> Vec<Ban> {
    let mut bans = Vec::new();
    for line in tree.text(PAGE).map_or(&[][..], |page| &page.lines) {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        if let [word, _, not] = cells.as_slice() {
            let better = word.trim_matches('*').to_owned();
            // Between backticks is every second part.
            let refused = not.split('`').skip(1).step_by(2);
            bans.extend(refused.map(|r| Ban {
                refused: r.to_lowercase(),
                better: better.clone(),
            }));
        }
    }
    bans
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOSSARY: &str = "| word | meaning | not |\n|---|---|---|\n\
        | **tier** | a place | layer, `backend` |\n| **load** | runs it | `fallback` |\n";

    fn found(source: &str) -> Vec<String> {
        let tree = Tree::of(&[(PAGE, GLOSSARY), ("a.rs", source)]);
        check(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_refused_word_in_a_name_is_found_and_told_the_better_one() {
        assert_eq!(
            found("struct RedisBackend;")[0],
            "a.rs:1: `RedisBackend`: GLOSSARY.md says `tier`, not `backend`"
        );
        for source in [
            "fn open_backend() {}",
            "let mut backend = 1;",
            "pub(crate) backend: u8,",
        ] {
            assert_eq!(found(source).len(), 1, "{source}");
        }
    }

    #[test]
    fn advice_uses_exceptions_and_foreign_names_are_left_alone() {
        for source in [
            "struct Layer;",
            "router.fallback(page)",
            "fn get_with_fallback() {}",
            "// a backend\nlet a = \"backend\";",
            "use axum::backend::Thing;",
        ] {
            assert_eq!(found(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn names_are_split_as_people_read_them() {
        assert_eq!(split("NewBackend2Go"), ["new", "backend2", "go"]);
        assert_eq!(split("MAX_BACKEND"), ["max", "backend"]);
    }
}
