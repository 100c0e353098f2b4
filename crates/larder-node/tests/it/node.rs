//! A node in a process of its own, on ports that the system chooses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use larder_testkit::servers::Daemon;
use tempfile::TempDir;

/// Generous: nothing takes so long unless the machine stands still.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A running node. Dropping it kills the process.
pub(crate) struct Node {
    pub(crate) daemon: Daemon,
    pub(crate) resp: SocketAddr,
    pub(crate) http: SocketAddr,
    _home: TempDir,
}

/// An answer of the HTTP port.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `larder` with these arguments, in an environment of its own and an empty folder.
pub(crate) fn larder(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(arguments).env_clear().current_dir(home);
    command.envs(variables.iter().copied());
    command
}

/// Runs `larder` to its end.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().unwrap();
    larder(home.path(), arguments, variables).output().unwrap()
}

/// What a failed run said: exactly one line, on stderr alone, with exit code 2.
pub(crate) fn refusal(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    stderr.trim_end().to_owned()
}

impl Node {
    /// Starts a node and waits until it has said where it listens.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Node {
        let home = tempfile::tempdir().unwrap();
        let ports = ["serve", "--resp", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let arguments: Vec<&str> = ports.iter().chain(arguments).copied().collect();
        let mut command = larder(home.path(), &arguments, variables);
        let mut daemon = Daemon::spawn(&mut command, &home.path().join("log")).unwrap();
        let is_ready = |log: &str| address(log, "HTTP    http://").is_some();
        daemon.wait_ready(LIMIT, is_ready).unwrap();
        let log = daemon.log();
        Node {
            resp: address(&log, "RESP    redis://").unwrap(),
            http: address(&log, "HTTP    http://").unwrap(),
            daemon,
            _home: home,
        }
    }

    /// A node over this Redis.
    pub(crate) fn over(url: &str, arguments: &[&str]) -> Node {
        Node::start(arguments, &[("CACHE_TYPE", "redis"), ("CACHE_URL", url)])
    }

    /// The value of a series; 0 if there is none.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").body;
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(name, _)| *name == series);
        found.map_or(0.0, |(_, value)| value.parse().unwrap())
    }

    /// Asks the HTTP port.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ))
    }

    /// Sends bytes to the HTTP port and reads to the end.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        let text = exchange(self.http, request.as_bytes());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: body.into(),
        }
    }
}

/// Sends bytes and reads until the other side closes.
pub(crate) fn exchange(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The address behind `label` in the banner.
fn address(log: &str, label: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}
