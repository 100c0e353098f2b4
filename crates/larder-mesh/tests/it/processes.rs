//! Nodes in processes of their own, which are killed and frozen.

use std::env;
use std::process::Command;
use std::time::Duration;

use larder_mesh::{Address, DownReason, State};
use larder_testkit::servers::Daemon;
use tempfile::TempDir;

use crate::support::{LIMIT, World, config, joining, wait};

const JOIN: &str = "LARDER_MESH_TEST_JOIN";
const NAME: &str = "LARDER_MESH_TEST_NAME";

/// The body of a child process: a node that joins and stays until it is killed. Without the
/// variables it is no child, and there is nothing to do.
#[test]
fn a_child_process_is_a_node() {
    let (Ok(join), Ok(name)) = (env::var(JOIN), env::var(NAME)) else {
        return;
    };
    let world = World::new();
    let node = world.start(joining(&name, &[&Address::parse(&join).unwrap()]));
    println!("ready {:016x}", node.mesh.incarnation().0);
    world.runtime.block_on(std::future::pending::<()>());
}

fn child(folder: &TempDir, name: &str, join: &Address) -> Daemon {
    let program = env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args([
            "--exact",
            "processes::a_child_process_is_a_node",
            "--nocapture",
        ])
        .env(JOIN, join.to_string())
        .env(NAME, name);
    let mut daemon = Daemon::spawn(&mut command, &folder.path().join(name)).unwrap();
    daemon
        .wait_ready(LIMIT, |log| log.contains("ready "))
        .unwrap();
    daemon
}

#[test]
fn a_node_that_is_killed_is_missed_at_once_and_returns_in_another_life() {
    let world = World::new();
    let folder = TempDir::new().unwrap();
    let a = world.start(config("a"));
    let mut b = child(&folder, "b", &a.address());
    let c = child(&folder, "c", &a.address());
    wait("both", || a.alive() == 2);
    let first = a.ups("b");
    b.kill();
    wait("the loss", || a.downs() == [DownReason::Broken]);
    assert_ne!(a.state("b"), Some(State::Alive));
    wait("the other", || a.is("c", State::Alive));
    let _again = child(&folder, "b", &a.address());
    wait("the return", || {
        a.ups("b").len() > 1 && a.is("b", State::Alive)
    });
    let lives = a.ups("b");
    assert_eq!((lives.len(), lives[0]), (2, first[0]));
    assert_ne!(lives[0], lives[1]);
    drop(c);
}

#[test]
fn a_node_that_is_frozen_is_doubted_and_returns_in_the_same_life() {
    let world = World::new();
    let folder = TempDir::new().unwrap();
    let mut config = config("a");
    config.timing.gone_after = Duration::from_secs(5);
    let a = world.start(config);
    let b = child(&folder, "b", &a.address());
    wait("the link", || a.alive() == 1);
    b.stop_signal();
    wait("doubt", || a.is("b", State::Suspect));
    wait("the cut", || a.downs() == [DownReason::Silent]);
    wait("the end of patience", || a.is("b", State::Gone));
    b.cont_signal();
    wait("the return", || a.is("b", State::Alive));
    // What is told of a link comes a moment after the state.
    wait("news of the return", || a.ups("b").len() >= 2);
    let lives = a.ups("b");
    assert!(lives.iter().all(|life| *life == lives[0]));
}
