//! What cargo knows about the workspace: its packages, their targets and their dependencies.
//!
//! Read from `cargo metadata --no-deps`, never from the manifests, so that inheritance, renames and
//! discovered targets mean here what they mean to cargo.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::shell;

/// One package of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder, relative to the root of the workspace.
    pub(crate) dir: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// Which table a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

/// Something that cargo compiles: a library, a binary, an example, a test, a bench.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Its root file, relative to the root of the workspace.
    pub(crate) source: String,
    pub(crate) required_features: Vec<String>,
}

/// Returns the folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    // Cargo says it at run time too, which is right even if two checkouts share a target folder.
    let xtask =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let xtask = Path::new(&xtask);
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Asks cargo for the packages of the workspace at `root`.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let mut command = shell::cargo(root);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = shell::read(&mut command)?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| format!("`cargo metadata` printed no JSON: {error}"))?;
    Ok(list(&value["packages"])
        .iter()
        .map(|package| parse_package(package, root))
        .collect())
}

fn parse_package(value: &Value, root: &Path) -> Package {
    let manifest = relative(&text(&value["manifest_path"]), root);
    Package {
        name: text(&value["name"]),
        dir: manifest
            .trim_end_matches("Cargo.toml")
            .trim_end_matches('/')
            .to_owned(),
        dependencies: list(&value["dependencies"])
            .iter()
            .map(parse_dependency)
            .collect(),
        targets: list(&value["targets"])
            .iter()
            .map(|target| parse_target(target, root))
            .collect(),
    }
}

fn parse_dependency(value: &Value) -> Dependency {
    let kind = match value["kind"].as_str() {
        Some("dev") => Kind::Dev,
        Some("build") => Kind::Build,
        _ => Kind::Normal,
    };
    Dependency {
        name: text(&value["name"]),
        kind,
    }
}

fn parse_target(value: &Value, root: &Path) -> Target {
    Target {
        name: text(&value["name"]),
        kind: text(&value["kind"][0]),
        source: relative(&text(&value["src_path"]), root),
        required_features: list(&value["required-features"]).iter().map(text).collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn relative(path: &str, root: &Path) -> String {
    let path = Path::new(path);
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_this_package_its_folder_and_its_target() {
        let packages = packages(&root()).unwrap();
        let xtask = packages
            .iter()
            .find(|package| package.name == "xtask")
            .unwrap();
        assert_eq!(xtask.dir, "xtask");
        assert_eq!(xtask.targets[0].kind, "bin");
        assert_eq!(xtask.targets[0].source, "xtask/src/main.rs");
        assert!(
            xtask
                .dependencies
                .iter()
                .all(|dependency| dependency.kind == Kind::Normal)
        );
    }
}
