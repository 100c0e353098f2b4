//! `cargo xtask tidy`: the rules of the house that the compiler cannot see.
//!
//! A rule is a function from the tree to findings, in a file of its own, with a test that proves
//! that it fires. The rules run on this repository as tests too (`tidy/tests.rs`), so that plain
//! `cargo test` finds what CI would. Exceptions stand in the rule, each with its reason.

mod dead_files;
mod doctests;
mod edges;
mod functions;
mod headers;
mod links;
mod machine_paths;
mod markdown;
mod module_files;
mod purity;
mod scan;
mod sizes;
mod sleeps;
#[cfg(test)]
mod tests;
mod todos;
mod tree;
mod whitespace;
mod words;

use std::fmt;

use crate::workspace;
use tree::Tree;

/// A place where a rule is broken, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) path: String,
    /// Counted from 1; 0 when the finding is about the whole file.
    pub(crate) line: usize,
    pub(crate) advice: String,
}

/// Whether a finding fails the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Warning,
    Error,
}

impl Finding {
    /// A finding that fails the run; `index` is the line counted from 0.
    fn error(path: &str, index: usize, advice: impl Into<String>) -> Self {
        let (path, advice) = (path.to_owned(), advice.into());
        Self {
            severity: Severity::Error,
            path,
            line: index + 1,
            advice,
        }
    }

    /// A finding about a file as a whole.
    fn about(path: &str, advice: impl Into<String>) -> Self {
        Self {
            line: 0,
            ..Self::error(path, 0, advice)
        }
    }

    fn warning(path: &str, advice: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::about(path, advice)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.max(1);
        let word = if self.severity == Severity::Warning {
            "warning: "
        } else {
            ""
        };
        write!(f, "{}:{line}: {word}{}", self.path, self.advice)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: [(&str, Rule); 15] = [
    ("edges", edges::check),
    ("sizes", sizes::check),
    ("functions", functions::check),
    ("headers", headers::check),
    ("module_files", module_files::check),
    ("dead_files", dead_files::check),
    ("links", links::check),
    ("todos", todos::check),
    ("doctests", doctests::check),
    ("sleeps", sleeps::check),
    ("words", words::check),
    ("purity", purity::check),
    ("whitespace", whitespace::check),
    ("markdown", markdown::check),
    ("machine_paths", machine_paths::check),
];

/// Runs all rules on this repository and prints what they find.
pub(crate) fn run() -> Result<(), String> {
    let tree = Tree::load(&workspace::root())?;
    let mut errors = 0;
    for (name, rule) in RULES {
        for finding in rule(&tree) {
            println!("{finding} [{name}]");
            errors += usize::from(finding.severity == Severity::Error);
        }
    }
    println!(
        "{} rules, {} files, {errors} errors",
        RULES.len(),
        tree.texts.len()
    );
    if errors == 0 {
        Ok(())
    } else {
        Err(format!("{errors} tidy errors (see above)"))
    }
}
