//! `larder bus ping`: who reads the log of a real server, and how soon.

use std::process::Output;
use std::time::Duration;

use larder::redis::Redis;
use larder::{Cache, Near};
use larder_testkit::servers::{RedisOptions, RedisServer, until};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::node::{LIMIT, refusal, run};

type Users = Cache<u64, u64>;

fn ping(url: &str, more: &[&str]) -> Output {
    let arguments = [&["bus", "ping", "--url", url], more].concat();
    run(&arguments, &[])
}

fn json(url: &str, more: &[&str]) -> (i32, Value) {
    let output = ping(url, &[&["--json"], more].concat());
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

/// A cache that follows the log, on threads of its own.
struct Reader {
    runtime: Runtime,
    cache: Users,
}

impl Reader {
    /// Returns once the cache follows the log.
    fn start(url: &str, name: &str) -> Reader {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let build = Cache::builder("app:users")
            .ttl("1h")
            .node(name)
            .near(Near::bytes("1MiB"))
            .remote(Redis::open(url).unwrap())
            .build();
        let cache: Users = runtime.block_on(build).unwrap();
        until(LIMIT, "the cache joins", || cache.stats().bus.flushes > 0).unwrap();
        Reader { runtime, cache }
    }

    /// Ends all its tasks where they are, as a killed process does.
    fn stop(self) {
        self.runtime.shutdown_background();
        drop(self.cache);
    }
}

#[test]
fn everybody_who_reads_is_shown_with_how_long_it_took() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let readers = ["web-1", "web-2"].map(|name| Reader::start(&server.url(), name));
    let (code, report) = json(&server.url(), &[]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        (&report["complete"], &report["applied"]),
        (&true.into(), &2.into())
    );
    for (row, reader) in report["readers"].as_array().unwrap().iter().zip(&readers) {
        assert_eq!(
            (&row["state"], &row["cache"]),
            (&"applied".into(), &"app:users".into())
        );
        assert_eq!(row["number"], format!("{:08x}", reader.cache.node()));
        // Asked, they do not wait for the time of their next poll; but the machine may be busy.
        assert!(row["applied_ms"].as_u64().unwrap() < 2_000, "{report}");
    }
    let text = String::from_utf8(ping(&server.url(), &[]).stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(&server.url()) && lines[0].contains(": probe "),
        "{text}"
    );
    assert!(
        lines[1].starts_with("  web-1  app:users  applied  after "),
        "{text}"
    );
    assert!(
        lines[2].starts_with("  web-2  app:users  applied  after "),
        "{text}"
    );
    assert_eq!(lines[3], "2 of 2 readers have applied it");
}

#[test]
fn a_reader_that_was_stopped_is_named() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let lives = Reader::start(&server.url(), "lives");
    Reader::start(&server.url(), "stopped").stop();
    let (code, report) = json(&server.url(), &["--wait", "10s"]);
    assert_eq!((code, &report["complete"]), (3, &false.into()), "{report}");
    let states: Vec<(&str, &str)> = report["readers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["node"].as_str().unwrap(),
                row["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(states, [("lives", "applied"), ("stopped", "fenced")]);
    assert!(report["readers"][1]["silent_ms"].as_u64().unwrap() > 1_100);
    let output = ping(&server.url(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("stopped  app:users  fenced   silent for "),
        "{text}"
    );
    assert!(text.ends_with("1 of 2 readers have applied it\n"), "{text}");
    drop(lives);
}

#[test]
fn a_reader_that_has_left_is_not_waited_for() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let stays = Reader::start(&server.url(), "stays");
    let leaves = Reader::start(&server.url(), "leaves");
    drop(leaves.cache);
    until(LIMIT, "it has left", || {
        let (_, report) = json(&server.url(), &[]);
        report["readers"].as_array().unwrap().len() == 1
    })
    .unwrap();
    let (code, report) = json(&server.url(), &[]);
    assert_eq!((code, &report["readers"][0]["node"]), (0, &"stays".into()));
    drop(stays);
}

#[test]
fn where_nobody_reads_there_is_nobody_to_wait_for() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let output = ping(&server.url(), &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, format!("{}: nobody reads a log here\n", server.url()));
}

#[test]
fn a_server_that_is_away_or_refuses_is_told_apart() {
    let options = RedisOptions::new().password("sesame");
    let Some(mut server) = RedisServer::start_or_skip(options) else {
        return;
    };
    let wrong = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let refused = ping(&wrong, &[]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(4), "{text}");
    assert!(!text.contains("wrong@"), "{text}");
    server.kill();
    let away = ping(&server.url(), &[]);
    let text = String::from_utf8(away.stderr).unwrap();
    assert_eq!(away.status.code(), Some(5), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn the_configuration_is_that_of_a_node() {
    let memory = refusal(&run(&["bus", "ping"], &[]));
    assert!(memory.contains("type = memory has no log"), "{memory}");
    let wrong = refusal(&run(&["bus", "ping"], &[("CACHE_URL", "http://cache")]));
    assert!(wrong.contains("CACHE_URL"), "{wrong}");
    let wait = refusal(&run(&["bus", "ping", "--wait", "soon"], &[]));
    assert!(wait.contains("--wait"), "{wait}");
    let bare = refusal(&run(&["bus"], &[]));
    assert!(bare.contains("larder bus ping"), "{bare}");
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let url = server.url();
    let output = run(&["bus", "ping"], &[("CACHE_URL", &url)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Readers that do not get on are waited for as long as was asked for.
#[test]
fn a_reader_that_asks_and_does_not_apply_is_behind() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let reader = Reader::start(&server.url(), "lives");
    // One that polls, by hand, and never gets further.
    let runtime = &reader.runtime;
    let store = Redis::open(&server.url()).unwrap();
    let store = {
        let _inside = runtime.enter();
        store.store(std::sync::Arc::new(larder::TokioRuntime::current()))
    };
    let stuck = larder_core::bus::Reader {
        node: 7,
        name: "stuck".into(),
        cache: "app:users".into(),
        applied: None,
        leaves: false,
    };
    let polling = runtime.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            larder_core::bus::Bus::poll(&store, &stuck).await.unwrap();
        }
    });
    until(LIMIT, "it polls", || {
        let (_, report) = json(&server.url(), &["--wait", "100ms"]);
        report["readers"].as_array().unwrap().len() == 2
    })
    .unwrap();
    let (code, report) = json(&server.url(), &["--wait", "1s"]);
    assert_eq!(
        (code, &report["readers"][1]["state"]),
        (3, &"behind".into()),
        "{report}"
    );
    polling.abort();
}
