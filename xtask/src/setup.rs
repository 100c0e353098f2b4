//! `cargo xtask setup`: everything that the tests need beside Rust.
//!
//! Programs come from Debian packages, client libraries of other languages go into `target/`, so
//! that nothing of the user's own environment is changed. Doing it again when all is there costs a
//! few file look-ups.

mod clients;

use std::process::Command;

use crate::{shell, workspace};

/// Whether every test can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// All tools are there.
    Complete,
    /// Some are missing: the tests that need them will say that they are skipped.
    Incomplete,
}

/// A need of the tests that a Debian package can meet.
struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    is_met: fn() -> bool,
}

/// Installs packages without starting the services in them; see the comments in the file.
const INSTALL: &str = include_str!("setup/install.sh");

const NODE_MAJOR_MIN: u32 = 18;

const NEEDS: [Need; 7] = [
    need("redis-server", &["redis-server"], || has("redis-server")),
    need("redis-cli", &["redis-tools"], || has("redis-cli")),
    need("redis-benchmark", &["redis-tools"], || {
        has("redis-benchmark")
    }),
    need("openssl", &["openssl"], || has("openssl")),
    need(
        "python3 with venv",
        &["python3", "python3-venv"],
        python_has_venv,
    ),
    need("node >= 18", &["nodejs"], node_is_recent),
    need("npm", &["npm"], || has("npm")),
];

const fn need(what: &'static str, packages: &'static [&'static str], is_met: fn() -> bool) -> Need {
    Need {
        what,
        packages,
        is_met,
    }
}

/// Makes everything ready that can be.
///
/// What cannot be installed is an error if `CI` is `true`, and a warning otherwise.
pub(crate) fn run() -> Result<Readiness, String> {
    let missing = missing();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let mut problems: Vec<String> = self::missing().iter().map(|need| advice(need)).collect();
    problems.extend(clients::install(&workspace::root()));
    if problems.is_empty() {
        println!("all tools are there");
        return Ok(Readiness::Complete);
    }
    let list = problems.join("\n  ");
    if is_ci() {
        return Err(format!("the tests need:\n  {list}"));
    }
    println!("warning: tests will be skipped. They need:\n  {list}");
    Ok(Readiness::Incomplete)
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.is_met)()).collect()
}

fn advice(need: &Need) -> String {
    format!("{}: apt-get install {}", need.what, need.packages.join(" "))
}

/// Installs the packages of `missing` if this user may; leaves it to the caller to look again.
fn install(missing: &[&Need]) -> Result<(), String> {
    let mut packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let Some(mut command) = privileged_shell() else {
        return Ok(());
    };
    println!("installing {}", packages.join(" "));
    // The command line would show the whole script; apt has said already what went wrong.
    let outcome = shell::run(command.args(["-c", INSTALL, "install"]).args(packages))
        .map_err(|_| String::from("the packages could not be installed (see above)"));
    match outcome {
        Err(message) if !is_ci() => {
            println!("warning: {message}");
            Ok(())
        }
        other => other,
    }
}

/// Returns a shell that may install packages, if apt is here and no password is asked for.
fn privileged_shell() -> Option<Command> {
    shell::find("apt-get")?;
    let user = shell::read(Command::new("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        return Some(Command::new("sh"));
    }
    if !shell::succeeds(Command::new("sudo").args(["-n", "true"])) {
        return None;
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "sh"]);
    Some(command)
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

fn has(program: &str) -> bool {
    shell::find(program).is_some()
}

fn python_has_venv() -> bool {
    // Debian's python3 has the module `venv` but not `ensurepip`, without which it makes no pip.
    clients::python_is_ready(&workspace::root())
        || shell::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]))
}

fn node_is_recent() -> bool {
    let version = shell::read(Command::new("node").arg("--version")).unwrap_or_default();
    node_major(&version).is_some_and(|major| major >= NODE_MAJOR_MIN)
}

fn node_major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_version_is_read_from_its_own_words() {
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("v18.0.0"), Some(18));
        assert_eq!(node_major(""), None);
    }

    #[test]
    fn advice_is_a_command_to_paste() {
        let need = need("redis-cli", &["redis-tools"], || false);
        assert_eq!(advice(&need), "redis-cli: apt-get install redis-tools");
    }
}
