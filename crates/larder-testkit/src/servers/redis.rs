//! A real Redis server of one's own: free port, temporary folder, no persistence.
//!
//! Valkey is the same to this module if its binary is called `redis-server`. Readiness is read from
//! the log and not from the port: a port that answers may belong to somebody else.

mod options;
mod tls;

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub use options::RedisOptions;
pub use tls::make_certificates;

use super::{Daemon, Missing, free_port, tools};

/// A server is ready within milliseconds; this is for a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often a start is tried when somebody else took the port first.
const START_TRIES: usize = 8;

/// A running Redis server. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct RedisServer {
    // Dropped in this order: the process ends before its folder is removed.
    daemon: Daemon,
    dir: TempDir,
    ports: Ports,
    options: RedisOptions,
    program: PathBuf,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
}

impl RedisServer {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// If it cannot be started; the message shows its log. See [`RedisServer::start_or_skip`] for
    /// machines that have no Redis.
    pub fn start(options: RedisOptions) -> Self {
        match Self::try_start(options) {
            Ok(server) => server,
            Err(error) => panic!("Redis could not be started: {error}"),
        }
    }

    /// Starts a server, or returns `None` where Redis is not installed, having printed that.
    ///
    /// # Panics
    ///
    /// Like [`RedisServer::start`], and like [`require`](super::require) if a tool is missing.
    pub fn start_or_skip(options: RedisOptions) -> Option<Self> {
        tools::require(needed(&options))?;
        Some(Self::start(options))
    }

    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// If a tool is missing or the server does not become ready.
    pub fn try_start(options: RedisOptions) -> io::Result<Self> {
        needed(&options).map_err(io::Error::other)?;
        let program = tools::redis_server().map_err(io::Error::other)?;
        let dir = tempfile::Builder::new().prefix("larder-redis-").tempdir()?;
        if options.tls {
            tls::make_certificates(dir.path())?;
        }
        let mut tries = 1;
        loop {
            let ports = Ports {
                plain: free_port(),
                tls: options.tls.then(free_port),
            };
            match launch(&program, &dir, ports, &options) {
                Ok(daemon) => {
                    return Ok(Self {
                        daemon,
                        dir,
                        ports,
                        options,
                        program,
                    });
                }
                Err(error) if tries < START_TRIES && is_taken(&error) => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the plain TCP port.
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// Returns the address to connect to, with the user and password if there are any.
    pub fn url(&self) -> String {
        format!(
            "redis://{}127.0.0.1:{}/0",
            self.options.userinfo(),
            self.ports.plain
        )
    }

    /// Returns the TLS address; the certificate is for `localhost`.
    ///
    /// # Panics
    ///
    /// If the server was started without [`RedisOptions::tls`].
    pub fn tls_url(&self) -> String {
        let port = self.ports.tls.expect("the server was started with TLS");
        format!("rediss://{}localhost:{port}/0", self.options.userinfo())
    }

    /// Returns the path of the Unix socket, which is there if it was asked for.
    pub fn socket_path(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Returns the path of the certificate that signed the server's own, in PEM.
    pub fn ca_pem_path(&self) -> PathBuf {
        self.dir.path().join(tls::CA_PEM)
    }

    /// Returns the process id, which changes with every restart.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Returns the process, for its log, its memory and its processor time.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Kills the server as `kill -9` does: connections are reset and new ones refused.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Freezes the server: connections stay open and nothing is answered.
    pub fn stop_signal(&self) {
        self.daemon.stop_signal();
    }

    /// Lets a frozen server go on with what it was sent meanwhile.
    pub fn cont_signal(&self) {
        self.daemon.cont_signal();
    }

    /// Starts the server again on the same ports and folder, killing it first if it runs.
    ///
    /// It comes back empty, unless persistence was turned on by [`RedisOptions::args`].
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn restart(&mut self) {
        self.daemon.kill();
        match launch(&self.program, &self.dir, self.ports, &self.options) {
            Ok(daemon) => self.daemon = daemon,
            Err(error) => panic!("Redis could not be started again: {error}"),
        }
    }

    /// Runs `redis-cli` with one command and returns what it prints, without the last line end.
    ///
    /// An error reply of the server is such a text too.
    ///
    /// # Panics
    ///
    /// If `redis-cli` is missing or cannot reach the server.
    pub fn cli<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let program = tools::redis_cli().expect("redis-cli is installed beside redis-server");
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.ports.plain.to_string()]);
        if let Some((user, password)) = self.options.credentials() {
            command
                .env("REDISCLI_AUTH", password)
                .args(["--user", user, "--no-auth-warning"]);
        }
        let output = command
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli runs");
        let text = String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        // An error reply ends redis-cli with 1 as well, but its text is on stdout.
        assert!(
            output.status.success() || !text.is_empty(),
            "redis-cli: {stderr}"
        );
        text
    }
}

/// Returns whether all tools are there that these options need.
fn needed(options: &RedisOptions) -> Result<(), Missing> {
    tools::redis_server()?;
    tools::redis_cli()?;
    if options.tls {
        tools::openssl()?;
    }
    Ok(())
}

fn launch(
    program: &PathBuf,
    dir: &TempDir,
    ports: Ports,
    options: &RedisOptions,
) -> io::Result<Daemon> {
    let mut command = Command::new(program);
    command.current_dir(dir.path());
    command.args(["--port", &ports.plain.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    if let Some(port) = ports.tls {
        command.args(tls::arguments(port));
    }
    command.args(options.arguments());
    let mut daemon = Daemon::spawn(&mut command, &dir.path().join("redis.log"))?;
    // Later versions add which kind of connection is accepted.
    daemon.wait_ready(READY_WITHIN, |log| {
        log.contains("Ready to accept connections")
    })?;
    Ok(daemon)
}

/// Returns whether a start failed because somebody else has the port.
fn is_taken(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("Address already in use") || text.contains("Failed listening on port")
}
