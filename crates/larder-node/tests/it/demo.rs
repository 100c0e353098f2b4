//! `larder demo`: what it finds with a mesh, with Redis and with nothing between its nodes, and what it
//! leaves behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use larder_testkit::servers::{RedisOptions, RedisServer, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::node::{LIMIT, larder, refusal, run};

/// One run at a time: several at once starve each other on a small machine.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    // A run that failed is no reason for others not to run.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run with JSON: its exit code, its seconds, and its summary.
fn demo(arguments: &[&str]) -> (Option<i32>, Vec<Value>, Value) {
    let arguments = [&["demo", "--json"], arguments].concat();
    let _turn = turn();
    let output = run(&arguments, &[]);
    let mut lines = lines(&output);
    let last = lines.pop().unwrap_or_else(|| panic!("{output:?}"));
    assert!(last["summary"].is_object(), "{output:?}");
    (output.status.code(), lines, last["summary"].clone())
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let line = |line| serde_json::from_str(line).unwrap();
    text.lines().map(line).collect()
}

fn is_right((code, seconds, summary): &(Option<i32>, Vec<Value>, Value)) {
    assert_eq!(*code, Some(0), "{summary:#}");
    assert_eq!(summary["right"], true, "{summary:#}");
    assert_eq!(
        (&summary["stale"], &summary["outbox_waiting"]),
        (&0.into(), &0.into())
    );
    assert_eq!(summary["compared"]["wrong"], 0);
    assert!(
        summary["compared"]["near"].as_u64() > Some(1_000),
        "{summary:#}"
    );
    let killed = &summary["kills"][0];
    assert_eq!(killed["name"], "node1");
    for node in killed["shown_by"].as_array().unwrap() {
        assert!(node["us"].as_u64() < Some(2_000_000), "{summary:#}");
    }
    assert!(seconds.len() >= 4);
    let states = |name: &str| {
        let nodes = seconds
            .iter()
            .flat_map(|second| second["nodes"].as_array().unwrap());
        let states = nodes.filter(|node| node["name"] == name);
        states
            .map(|node| node["state"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert!(states("node1").contains(&"reads"), "{:?}", states("node1"));
    assert!(states("node2").contains(&"writes"), "{:?}", states("node2"));
}

#[test]
fn over_a_mesh_no_read_is_stale_and_every_copy_agrees_with_the_database() {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    let ended = demo(&["--seconds", "4", "--keep", kept.to_str().unwrap()]);
    is_right(&ended);
    is_kept(&kept, &ended.2);
}

/// Whoever wants to check has all of it.
fn is_kept(kept: &Path, summary: &Value) {
    let read = |name: &str| std::fs::read_to_string(kept.join(name)).unwrap();
    let told: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(told["summary"], *summary);
    for name in ["node1.log", "node2.log", "node3.log"] {
        assert!(read(name).contains("mesh"), "{name}: {}", read(name));
    }
    let copies = read("copies.jsonl");
    let mut shown = copies.lines().flat_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["copies"]["products"].as_array().unwrap().clone()
    });
    let copy = shown.find(|copy| copy["id"] == 0).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let version: i64 = runtime.block_on(async {
        let url = format!("sqlite:{}", kept.join("catalogue.db").display());
        let db = sqlx::SqlitePool::connect(&url).await.unwrap();
        let version = sqlx::query_scalar("SELECT version FROM versions WHERE id = 0");
        version.fetch_one(&db).await.unwrap()
    });
    assert_eq!(copy["row"]["version"], version);
    let again = refusal(&run(&["demo", "--keep", kept.to_str().unwrap()], &[]));
    assert!(again.contains("is not empty"), "{again}");
}

#[test]
fn over_redis_it_is_the_same_and_the_server_is_left_as_it_was() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    server.cli(&["SET", "mine", "1"]);
    is_right(&demo(&["--seconds", "5", "--redis", &server.url()]));
    assert_eq!(server.cli(&["KEYS", "*"]), "mine");
}

#[test]
fn without_a_bus_stale_reads_are_found() {
    let (code, _, summary) = demo(&["--seconds", "4", "--bus", "off"]);
    assert_eq!(
        (code, &summary["right"]),
        (Some(1), &false.into()),
        "{summary:#}"
    );
    assert!(summary["stale"].as_u64() > Some(100), "{summary:#}");
    assert!(
        summary["compared"]["wrong"].as_u64() > Some(0),
        "{summary:#}"
    );
    let problems = summary["problems"].as_array().unwrap();
    assert!(problems[0].as_str().unwrap().ends_with(" stale reads"));
    // The nodes themselves are sound: they show their own changes.
    assert_eq!(summary["all"]["stale_own"], 0, "{summary:#}");
}

#[test]
fn mistakes_are_told_in_a_line() {
    for (arguments, said) in [
        (
            &["--seconds", "2"][..],
            "--seconds \"2\" is no number from 3 to 3600",
        ),
        (&["--seconds", "long"], "is no number"),
        (&["--bus", "redis"], "write mesh or off"),
        (&["--bus", "off", "--redis", "redis://a"], "leave out --bus"),
        (&["--plain", "--json"], "exclude each other"),
        (&["--redis", "http://a"], "--redis: "),
        (&["--second", "4"], "did you mean --seconds?"),
    ] {
        let refused = refusal(&run(&[&["demo"], arguments].concat(), &[]));
        assert!(refused.contains(said), "{arguments:?}: {refused}");
    }
    let alone = refusal(&run(&["demo-node"], &[]));
    assert!(alone.contains("try larder demo"), "{alone}");
}

#[test]
fn a_server_that_is_away_is_told_without_its_password() {
    let port = larder_testkit::servers::free_port();
    let url = format!("redis://:sesame@127.0.0.1:{port}");
    let output = run(&["demo", "--redis", &url], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert_eq!(
        (said.lines().count(), said.contains("sesame")),
        (1, false),
        "{said}"
    );
}

/// A run that has begun, and the processes of its nodes.
fn begun(home: &Path) -> (Child, Vec<Pid>) {
    let mut command: Command = larder(home, &["demo", "--plain", "--seconds", "60"], &[]);
    command
        .env("TMPDIR", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("node1"));
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let children = std::fs::read_to_string(children).unwrap();
    let nodes = children.split_whitespace();
    let nodes: Vec<Pid> = nodes
        .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
        .collect();
    assert_eq!(nodes.len(), 3);
    // Not read any further: the pipe has room for the seconds that are left to it.
    std::mem::forget(lines);
    (child, nodes)
}

/// Whether all of them have ended; nobody need have asked how.
fn are_gone(nodes: &[Pid]) -> bool {
    nodes.iter().all(|node| {
        let stat = format!("/proc/{}/stat", node.as_raw_nonzero());
        let stat = std::fs::read_to_string(stat).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    })
}

#[test]
fn interrupted_it_ends_its_nodes_and_removes_its_folder() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let (mut child, nodes) = begun(home.path());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let mut status = None;
    until(LIMIT, "the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    assert!(are_gone(&nodes));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn nodes_end_when_their_stage_is_killed() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let (mut child, nodes) = begun(home.path());
    assert!(!are_gone(&nodes));
    child.kill().unwrap();
    child.wait().unwrap();
    until(LIMIT, "the end of the nodes", || are_gone(&nodes)).unwrap();
}
