//! A holder in a process of its own that is stopped for longer than its lock lasts, while another one
//! takes over. It is this test program again, asked for one test that is left out otherwise.

use std::env;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use larder::core::Runtime;
use larder::{ErrorKind, TokioRuntime};
use larder_testkit::servers::{Daemon, until};

use crate::support::{address, in_time, node_at, server};

const PORT: &str = "LARDER_HOLDER_PORT";
const GO: &str = "LARDER_HOLDER_GO";
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that another test starts"]
async fn a_holder() {
    let port: u16 = env::var(PORT).unwrap().parse().unwrap();
    let go = PathBuf::from(env::var_os(GO).unwrap());
    let builder = node_at(([127, 0, 0, 1], port).into());
    let users = builder.build().await.unwrap();
    // It would hold the lock for as long as it runs.
    let request = users.lock(&1, "1s").unwrap().renewed_for("10m");
    let guard = request.acquire().await.unwrap();
    drop(users.insert_fenced(&1, 1, guard.token()).await.unwrap());
    println!("holds {}", guard.token());
    let (parent, runtime) = (parent_id(), TokioRuntime::current());
    while !go.exists() && parent_id() == parent {
        runtime.sleep(Duration::from_millis(5)).await;
    }
    let is_held = guard.is_held();
    let late = match users.insert_fenced(&1, 3, guard.token()).await {
        Ok(_) => "stored".to_owned(),
        Err(error) => error.kind().as_str().to_owned(),
    };
    let released = guard.release().await.unwrap();
    println!("late: held {is_held}, {late}, released {released}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_stopped_past_its_ttl_writes_nothing_and_releases_nothing() {
    let Some(server) = server() else { return };
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "locks::stopped::a_holder"])
        .args(["--ignored", "--nocapture"])
        .env(PORT, server.port().to_string())
        .env(GO, &go);
    let holder = Daemon::spawn(&mut command, &folder.path().join("log")).unwrap();
    until(LIMIT, "it holds the lock", || {
        holder.log().contains("holds ")
    })
    .unwrap();
    let users = node_at(address(&server)).build().await.unwrap();
    let long = Duration::from_millis(2_500);
    let too_soon = users.lock(&1, "10m").unwrap().wait(long);
    let too_soon = in_time(too_soon.acquire()).await.unwrap_err();
    assert_eq!(too_soon.kind(), ErrorKind::Timeout, "it is renewed");

    holder.stop_signal();
    let next = users.lock(&1, "10m").unwrap().wait("30s");
    let next = in_time(next.acquire()).await.unwrap();
    drop(users.insert_fenced(&1, 2, next.token()).await.unwrap());
    std::fs::write(&go, "").unwrap();
    holder.cont_signal();
    until(LIMIT, "it is done", || holder.log().contains("late: ")).unwrap();

    let log = holder.log();
    assert!(
        log.contains("late: held false, fenced, released false"),
        "{log}"
    );
    assert_eq!(*users.get(&1).await.unwrap().unwrap(), 2);
    assert!(next.is_held() && next.renew().await.unwrap());
    assert!(next.release().await.unwrap());
}
