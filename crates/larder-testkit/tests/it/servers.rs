//! The spawned servers are what tests believe them to be: ours, hurt on request, and gone at the end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use larder_testkit::servers::{self, Daemon, RedisOptions, RedisServer, free_port, require, until};

const SOON: Duration = Duration::from_secs(30);

fn redis(options: RedisOptions) -> Option<RedisServer> {
    RedisServer::start_or_skip(options)
}

fn sh(script: &str, log: &Path) -> Daemon {
    Daemon::spawn(Command::new("sh").args(["-c", script]), log).expect("a shell can be started")
}

#[test]
fn two_servers_share_nothing() {
    let (Some(one), Some(two)) = (redis(RedisOptions::new()), redis(RedisOptions::new())) else {
        return;
    };
    assert_ne!(one.port(), two.port());
    assert_eq!(one.cli(&["SET", "key", "one"]), "OK");
    assert_eq!(two.cli(&["GET", "key"]), "");
    assert_eq!(one.url(), format!("redis://127.0.0.1:{}/0", one.port()));
}

#[test]
fn a_killed_server_comes_back_empty_on_the_same_port() {
    let Some(mut server) = redis(RedisOptions::new()) else {
        return;
    };
    let (port, pid) = (server.port(), server.pid());
    server.cli(&["SET", "key", "value"]);
    server.kill();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[test]
fn a_server_with_persistence_comes_back_with_its_keys() {
    let persistence = ["--appendonly", "yes", "--appendfsync", "always"];
    let Some(mut server) = redis(RedisOptions::new().args(persistence)) else {
        return;
    };
    server.cli(&["SET", "key", "value"]);
    server.restart();
    assert_eq!(server.cli(&["GET", "key"]), "value");
}

#[test]
fn a_frozen_server_answers_only_when_it_goes_on() {
    let Some(server) = redis(RedisOptions::new()) else {
        return;
    };
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    server.stop_signal();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    until(SOON, "the stop", || state().contains(") T ")).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut reply = [0; 7];
    assert!(stream.read(&mut reply).is_err());
    server.cont_signal();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn a_password_is_asked_for_and_known_to_the_handle() {
    let Some(server) = redis(RedisOptions::new().password("secret")) else {
        return;
    };
    assert_eq!(server.cli(&["PING"]), "PONG");
    assert_eq!(
        server.url(),
        format!("redis://default:secret@127.0.0.1:{}/0", server.port())
    );
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"-NOAUTH");
}

#[test]
fn an_acl_user_is_held_to_its_rules() {
    let Some(server) = redis(RedisOptions::new().user("app", "secret", "~app:* +@all")) else {
        return;
    };
    assert_eq!(server.cli(&["ACL", "WHOAMI"]), "app");
    assert_eq!(server.cli(&["SET", "app:1", "value"]), "OK");
    assert!(
        server
            .cli(&["SET", "other:1", "value"])
            .starts_with("NOPERM")
    );
}

#[test]
fn a_unix_socket_answers() {
    let (Some(cli), Some(server)) = (
        require(servers::redis_cli()),
        redis(RedisOptions::new().unix_socket()),
    ) else {
        return;
    };
    let mut command = Command::new(cli);
    let output = command
        .arg("-s")
        .arg(server.socket_path())
        .arg("PING")
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"PONG\n");
}

#[test]
fn a_tls_port_shows_a_certificate_that_its_authority_signed() {
    let (Some(openssl), Some(server)) = (
        require(servers::openssl()),
        redis(RedisOptions::new().tls()),
    ) else {
        return;
    };
    let url = server.tls_url();
    let address = url
        .strip_prefix("rediss://")
        .and_then(|url| url.strip_suffix("/0"))
        .unwrap();
    let mut command = Command::new(openssl);
    command.args([
        "s_client",
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
    ]);
    command
        .args(["-connect", address, "-CAfile"])
        .arg(server.ca_pem_path());
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    assert_eq!(server.cli(&["PING"]), "PONG");
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let Some(server) = redis(RedisOptions::new()) else {
        return;
    };
    let (pid, dir) = (server.pid(), server.socket_path());
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!dir.parent().unwrap().exists());
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    if require(servers::redis_server()).is_none() {
        return;
    }
    let error = RedisServer::try_start(RedisOptions::new().args(["--no-such-option", "1"]));
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("redis-server: ended before it was ready"),
        "{message}"
    );
    assert!(message.contains("no-such-option"), "{message}");
}

#[test]
fn many_servers_started_at_once_do_not_clash() {
    if require(servers::redis_server()).is_none() {
        return;
    }
    let start = || std::thread::spawn(|| RedisServer::start(RedisOptions::new()));
    let starting: Vec<_> = (0..6).map(|_| start()).collect();
    for server in starting {
        assert_eq!(server.join().unwrap().cli(&["PING"]), "PONG");
    }
}

#[test]
fn a_daemon_is_ready_when_its_log_says_so_and_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ready; exec tail -f /dev/null";
    let mut daemon = sh(script, &dir.path().join("log"));
    daemon
        .wait_ready(SOON, |log| log.contains("ready"))
        .unwrap();
    assert!(daemon.is_running());
    assert!(daemon.rss_kib() > 0);
    assert!(daemon.cpu_time() < SOON);
    let status = daemon.terminate(SOON).unwrap();
    assert!(!status.success());
    assert!(!daemon.is_running());
    assert_eq!(daemon.rss_kib(), 0);
}

#[test]
fn a_daemon_that_ends_early_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = sh("echo reason >&2; exit 3", &dir.path().join("log"));
    let error = daemon.wait_ready(SOON, |_| false).unwrap_err().to_string();
    assert!(
        error.contains("exit status: 3") && error.ends_with("reason"),
        "{error}"
    );
}

#[test]
fn the_clients_of_other_languages_talk_to_a_server() {
    let (Some(python), Some(node), Some(server)) = (
        require(servers::python()),
        require(servers::node_with_ioredis()),
        redis(RedisOptions::new()),
    ) else {
        return;
    };
    let port = server.port().to_string();
    let script = "import sys, redis, prometheus_client.parser\n\
                  redis.Redis(port=int(sys.argv[1])).set('from', 'python')";
    assert!(
        Command::new(python)
            .args(["-c", script, &port])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(server.cli(&["GET", "from"]), "python");
    let script = "const { Redis } = require('ioredis'); const r = new Redis(+process.argv[1]);\
                  r.set('from', 'node').then(() => r.quit())";
    assert!(
        node.command()
            .args(["-e", script, &port])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(server.cli(&["GET", "from"]), "node");
}

#[test]
fn a_free_port_can_be_listened_on() {
    assert!(std::net::TcpListener::bind(("127.0.0.1", free_port())).is_ok());
}
