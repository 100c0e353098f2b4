//! What the rules look at: the texts of the repository and what cargo knows about it.
//!
//! Read once, held in memory. The tests of the rules build trees from a few lines instead.

use std::collections::BTreeSet;
use std::path::Path;

use super::scan::{self, Scan};
use crate::workspace::{self, Package};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", ".venv", "corpus"];

/// Files whose text we write ourselves.
const TEXT_ENDINGS: [&str; 14] = [
    "rs", "md", "toml", "lua", "sh", "py", "js", "cjs", "mjs", "html", "css", "yml", "yaml", "sql",
];

/// The repository, as the rules see it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// All texts, Rust among them, ordered by path.
    pub(crate) texts: Vec<Text>,
    /// The Rust files, scanned.
    pub(crate) rust: Vec<Rust>,
    pub(crate) packages: Vec<Package>,
    /// All files, of whatever kind, by path.
    pub(crate) files: BTreeSet<String>,
}

/// A text file by its path from the root, with `/` between the parts.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) lines: Vec<String>,
}

/// A Rust file.
#[derive(Debug)]
pub(crate) struct Rust {
    pub(crate) path: String,
    pub(crate) lines: Vec<String>,
    pub(crate) scan: Scan,
    /// For each line, whether it is test code: in a test file, or in a `#[cfg(test)]` module.
    pub(crate) in_test: Vec<bool>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub(crate) fn load(root: &Path) -> Result<Self, String> {
        let mut tree = Self {
            packages: workspace::packages(root)?,
            ..Self::default()
        };
        tree.walk(root, "")?;
        Ok(tree)
    }

    /// Builds a tree of the given files, for tests of the rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add((*path).to_owned(), text);
        }
        tree
    }

    /// Returns a text by its path.
    pub(crate) fn text(&self, path: &str) -> Option<&Text> {
        self.texts.iter().find(|text| text.path == path)
    }

    fn walk(&mut self, root: &Path, dir: &str) -> Result<(), String> {
        let explain = |error: std::io::Error| format!("{dir}: {error}");
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(root.join(dir)).map_err(explain)? {
            let entry = entry.map_err(explain)?;
            let is_dir = entry.file_type().map_err(explain)?.is_dir();
            entries.push((entry.file_name().to_string_lossy().into_owned(), is_dir));
        }
        entries.sort();
        for (name, is_dir) in entries {
            let path = if dir.is_empty() {
                name.clone()
            } else {
                format!("{dir}/{name}")
            };
            if is_dir && !SKIPPED.contains(&name.as_str()) {
                self.walk(root, &path)?;
            } else if !is_dir && is_text(&path) {
                let text = std::fs::read_to_string(root.join(&path))
                    .map_err(|error| format!("{path}: {error}"))?;
                self.add(path, &text);
            } else if !is_dir {
                self.files.insert(path);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, text: &str) {
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        if path.ends_with(".rs") {
            let scan = scan::scan(text);
            let in_test = test_lines(&path, &scan);
            self.rust.push(Rust {
                path: path.clone(),
                lines: lines.clone(),
                scan,
                in_test,
            });
        }
        self.files.insert(path.clone());
        self.texts.push(Text { path, lines });
    }
}

impl Rust {
    /// Returns whether a line holds code (and not only a comment); text inside a string is code.
    pub(crate) fn is_code(&self, index: usize) -> bool {
        let is_blank = |half: &[String]| half.get(index).is_none_or(|line| line.trim().is_empty());
        let raw_is_blank = self.lines[index].trim().is_empty();
        !raw_is_blank && (!is_blank(&self.scan.code) || is_blank(&self.scan.comments))
    }

    /// Returns whether the whole file is test code.
    pub(crate) fn is_test_file(&self) -> bool {
        is_test_path(&self.path)
    }
}

fn is_text(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    TEXT_ENDINGS.contains(&ending) || path.starts_with(".ci/")
}

fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

fn test_lines(path: &str, scan: &Scan) -> Vec<bool> {
    let mut in_test = vec![is_test_path(path); scan.code.len()];
    for (index, line) in scan.code.iter().enumerate() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        // The attribute may be followed by others; `mod name;` has its own file and path.
        let found = (index..scan.code.len().min(index + 4))
            .find(|at| scan.code[*at].trim_start().starts_with("mod "));
        let opened = found.filter(|at| scan.code[*at].contains('{'));
        if let Some(end) = opened.and_then(|at| scan::closing_line(&scan.code, at, 0)) {
            in_test[index..=end].fill(true);
        }
    }
    in_test
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_is_known_to_be_one() {
        let source = "//! x\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let tree = Tree::of(&[("crates/x/src/lib.rs", source)]);
        assert_eq!(
            tree.rust[0].in_test,
            [false, false, true, true, true, true, false]
        );
    }

    #[test]
    fn a_file_below_tests_is_test_code() {
        for path in ["crates/x/tests/it/main.rs", "crates/x/src/a/tests.rs"] {
            let tree = Tree::of(&[(path, "//! x\nfn a() {}")]);
            assert!(tree.rust[0].is_test_file());
            assert!(tree.rust[0].in_test.iter().all(|test| *test), "{path}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_no_code() {
        let tree = Tree::of(&[(
            "a.rs",
            "//! x\n\nfn a() {} // y\nlet b = \"\nin a string\";",
        )]);
        let code: Vec<bool> = (0..5).map(|index| tree.rust[0].is_code(index)).collect();
        assert_eq!(code, [false, false, true, true, true]);
    }
}
