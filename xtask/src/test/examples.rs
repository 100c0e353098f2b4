//! Runs every example of the workspace; an example passes when it exits with 0 in good time.
//!
//! Examples are built as one set, with the flags of `cargo test --workspace`, so that nothing is
//! compiled a second time. Those that need a feature which is off by default are run one by one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{shell, workspace};

/// An example is a page to read and run: one that takes longer has lost its reader.
const LIMIT: Duration = Duration::from_secs(120);

/// One example target, by the names that cargo gives it.
struct Example {
    package: String,
    name: String,
    features: Vec<String>,
}

/// Runs all examples and reports all that failed.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let examples = discover(root)?;
    let built = build(root)?;
    let mut failures = Vec::new();
    for example in &examples {
        println!("--- {} ({})", example.name, example.package);
        let outcome = match built.get(&example.name) {
            Some(program) => run_built(root, program),
            None => run_with_features(root, example),
        };
        failures.extend(outcome.err());
    }
    println!("{} examples, {} failed", examples.len(), failures.len());
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

fn discover(root: &Path) -> Result<Vec<Example>, String> {
    let mut examples = Vec::new();
    for package in workspace::packages(root)? {
        for target in package
            .targets
            .into_iter()
            .filter(|target| target.kind == "example")
        {
            let package = package.name.clone();
            let (name, features) = (target.name, target.required_features);
            examples.push(Example {
                package,
                name,
                features,
            });
        }
    }
    Ok(examples)
}

/// Builds the examples and returns where each executable is.
fn build(root: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut command = shell::cargo(root);
    command.args(["build", "--workspace", "--examples"]);
    command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let messages = shell::read(&mut command)?;
    Ok(messages.lines().filter_map(built_example).collect())
}

/// Reads one build message: the name and executable of an example, if it is about one.
fn built_example(message: &str) -> Option<(String, String)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    if target["kind"][0] != "example" {
        return None;
    }
    Some((
        target["name"].as_str()?.to_owned(),
        message["executable"].as_str()?.to_owned(),
    ))
}

fn run_built(root: &Path, program: &str) -> Result<(), String> {
    shell::run_within(
        Command::new(program).current_dir(root).stdin(Stdio::null()),
        LIMIT,
    )
}

fn run_with_features(root: &Path, example: &Example) -> Result<(), String> {
    // Built without a limit first: compiling is not what the limit is about.
    for verb in ["build", "run"] {
        let mut command = shell::cargo(root);
        command.args([
            verb,
            "--package",
            &example.package,
            "--example",
            &example.name,
        ]);
        if !example.features.is_empty() {
            command.args(["--features", &example.features.join(",")]);
        }
        command.stdin(Stdio::null());
        if verb == "build" {
            shell::run(&mut command)?;
        } else {
            shell::run_within(&mut command, LIMIT)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_examples_name_an_executable() {
        let example = r#"{"target":{"kind":["example"],"name":"hello"},"executable":"bin/hello"}"#;
        let library = r#"{"target":{"kind":["lib"],"name":"larder"},"executable":null}"#;
        assert_eq!(
            built_example(example),
            Some(("hello".into(), "bin/hello".into()))
        );
        assert_eq!(built_example(library), None);
        assert_eq!(built_example("not JSON"), None);
    }
}
