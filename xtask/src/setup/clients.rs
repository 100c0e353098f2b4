//! Client libraries of other languages: a Python environment and Node packages under `target/`.
//!
//! The tests talk to a node with the clients that people really use. Versions are pinned here, and
//! a stamp file remembers what was installed, so that looking again costs one file read.
//! `larder-testkit` (`servers/tools.rs`) looks for them in the same two folders.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

const PYTHON_PACKAGES: [&str; 2] = ["redis==8.1.0", "prometheus-client==0.26.0"];
const NODE_PACKAGES: [&str; 2] = ["ioredis@6.0.0", "redlock@5.0.0-beta.2"];

/// Written last, with the list of packages: its absence means that an install was cut short.
const STAMP: &str = "larder-setup.txt";

/// Installs both sets of clients and returns what could not be, each with what to do.
pub(crate) fn install(root: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    if !python_is_ready(root) {
        println!("installing {} into target/venv", PYTHON_PACKAGES.join(" "));
        problems.extend(install_python(&venv(root)).err());
    }
    if !node_is_ready(root) {
        println!("installing {} into target/node", NODE_PACKAGES.join(" "));
        problems.extend(install_node(&node(root)).err());
    }
    problems
}

/// Returns whether the Python environment is complete.
pub(crate) fn python_is_ready(root: &Path) -> bool {
    // `is_file` follows the link to the interpreter, which may have been removed since.
    venv(root).join("bin/python").is_file() && is_stamped(&venv(root), &PYTHON_PACKAGES)
}

fn node_is_ready(root: &Path) -> bool {
    is_stamped(&node(root), &NODE_PACKAGES)
}

fn venv(root: &Path) -> PathBuf {
    root.join("target/venv")
}

fn node(root: &Path) -> PathBuf {
    root.join("target/node")
}

fn install_python(venv: &Path) -> Result<(), String> {
    let hint = |message| format!("Python packages {}: {message}", PYTHON_PACKAGES.join(" "));
    let mut create = Command::new("python3");
    // `--clear`: a half-made environment is not repaired but made anew.
    create.args(["-m", "venv", "--clear"]).arg(venv);
    shell::read(&mut create).map_err(hint)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    shell::read(pip.args(PYTHON_PACKAGES)).map_err(hint)?;
    stamp(venv, &PYTHON_PACKAGES).map_err(hint)
}

fn install_node(dir: &Path) -> Result<(), String> {
    let hint = |message| format!("Node packages {}: {message}", NODE_PACKAGES.join(" "));
    std::fs::create_dir_all(dir).map_err(|error| hint(error.to_string()))?;
    // Without a manifest of its own npm would climb up to the next one it finds.
    std::fs::write(dir.join("package.json"), "{ \"private\": true }\n")
        .map_err(|error| hint(error.to_string()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(dir)
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
    shell::read(npm.args(["--save-exact"]).args(NODE_PACKAGES)).map_err(hint)?;
    stamp(dir, &NODE_PACKAGES).map_err(hint)
}

fn is_stamped(dir: &Path, packages: &[&str]) -> bool {
    std::fs::read_to_string(dir.join(STAMP)).is_ok_and(|text| text == packages.join("\n"))
}

fn stamp(dir: &Path, packages: &[&str]) -> Result<(), String> {
    std::fs::write(dir.join(STAMP), packages.join("\n")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_for_exactly_the_packages_it_names() {
        let dir = std::env::temp_dir().join(format!("larder-stamp-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(!is_stamped(&dir, &["a==1"]));
        stamp(&dir, &["a==1"]).unwrap();
        assert!(is_stamped(&dir, &["a==1"]));
        assert!(!is_stamped(&dir, &["a==2"]));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
