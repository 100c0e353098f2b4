//! Where the programs are that tests talk to, and what to do when one is not there.
//!
//! `cargo xtask setup` installs all of them. On a machine that lacks one, the tests that need it
//! say so and count as passed; in CI, or where `LARDER_REQUIRE_SERVERS=1`, they fail, because a
//! test that silently does nothing guards nothing.

use std::env;
use std::error::Error;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tool is not installed, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    what: &'static str,
    install: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is missing: `cargo xtask setup`, or {}",
            self.what, self.install
        )
    }
}

impl Error for Missing {}

/// Node with the package `ioredis`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    program: PathBuf,
    modules: PathBuf,
}

impl Node {
    /// Returns a command that runs Node where `require("ioredis")` works.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("NODE_PATH", &self.modules);
        command
    }
}

/// Finds the Redis server.
///
/// # Errors
///
/// [`Missing`] if it is not in `PATH`.
pub fn redis_server() -> Result<PathBuf, Missing> {
    in_path("redis-server", "`apt-get install redis-server`")
}

/// Finds the command line client of Redis.
///
/// # Errors
///
/// [`Missing`] if it is not in `PATH`.
pub fn redis_cli() -> Result<PathBuf, Missing> {
    in_path("redis-cli", "`apt-get install redis-tools`")
}

/// Finds the benchmark of Redis.
///
/// # Errors
///
/// [`Missing`] if it is not in `PATH`.
pub fn redis_benchmark() -> Result<PathBuf, Missing> {
    in_path("redis-benchmark", "`apt-get install redis-tools`")
}

/// Finds OpenSSL's command, which makes the certificates for tests.
///
/// # Errors
///
/// [`Missing`] if it is not in `PATH`.
pub fn openssl() -> Result<PathBuf, Missing> {
    in_path("openssl", "`apt-get install openssl`")
}

/// Finds the Python that has the packages `redis` and `prometheus_client`.
///
/// # Errors
///
/// [`Missing`] if the environment in `target/venv` is not complete.
pub fn python() -> Result<PathBuf, Missing> {
    let venv = root().join("target/venv");
    let python = venv.join("bin/python");
    let is_ready = is_complete(&venv) && python.is_file();
    let install = "Python 3 with venv and then `cargo xtask setup`";
    if is_ready {
        Ok(python)
    } else {
        Err(Missing {
            what: "Python with redis-py",
            install,
        })
    }
}

/// Finds Node with the package `ioredis`.
///
/// # Errors
///
/// [`Missing`] if Node is not in `PATH` or the packages in `target/node` are not complete.
pub fn node_with_ioredis() -> Result<Node, Missing> {
    let home = root().join("target/node");
    let install = "Node 18 or later with npm and then `cargo xtask setup`";
    match find("node") {
        Some(program) if is_complete(&home) => Ok(Node {
            program,
            modules: home.join("node_modules"),
        }),
        _ => Err(Missing {
            what: "Node with ioredis",
            install,
        }),
    }
}

/// Unwraps what a test needs, or lets the test be skipped.
///
/// `None` means that the test should return: why has been printed.
///
/// # Panics
///
/// If the tool is missing and `CI` is `true` or `LARDER_REQUIRE_SERVERS` is `1`.
pub fn require<T>(found: Result<T, Missing>) -> Option<T> {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    decide(found, is("CI", "true") || is("LARDER_REQUIRE_SERVERS", "1"))
}

fn decide<T>(found: Result<T, Missing>, is_required: bool) -> Option<T> {
    match found {
        Ok(tool) => Some(tool),
        Err(missing) if is_required => panic!("{missing}"),
        Err(missing) => {
            // Not `eprintln!`: the test harness would keep the line of a passing test to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {missing}");
            None
        }
    }
}

fn in_path(what: &'static str, install: &'static str) -> Result<PathBuf, Missing> {
    find(what).ok_or(Missing { what, install })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Returns whether `cargo xtask setup` finished its work in a folder.
fn is_complete(dir: &Path) -> bool {
    // The name is the one in xtask/src/setup/clients.rs.
    dir.join("larder-setup.txt").is_file()
}

/// Returns the root of the workspace, whose `target` folder holds the clients.
fn root() -> PathBuf {
    // Cargo says at run time where the package of the running test is, which is right even if two
    // checkouts share a target folder. Without cargo, the place of compilation has to do.
    let at_run_time = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = at_run_time.as_deref().and_then(workspace_above);
    let there = || workspace_above(Path::new(env!("CARGO_MANIFEST_DIR")));
    here.or_else(there).unwrap_or_default()
}

/// Returns the nearest folder above `package` that is a workspace.
fn workspace_above(package: &Path) -> Option<PathBuf> {
    let is_workspace = |dir: &&Path| dir.join("Cargo.lock").is_file();
    package
        .ancestors()
        .find(is_workspace)
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Missing {
        in_path("no-such-program", "`apt-get install it`").unwrap_err()
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let expected = "no-such-program is missing: `cargo xtask setup`, or `apt-get install it`";
        assert_eq!(missing().to_string(), expected);
    }

    #[test]
    fn a_missing_tool_skips_the_test_unless_it_is_required() {
        assert_eq!(decide(Ok(1), true), Some(1));
        assert_eq!(decide::<u8>(Err(missing()), false), None);
        assert!(std::panic::catch_unwind(|| decide::<u8>(Err(missing()), true)).is_err());
    }
}
