//! `larder doctor` on real servers, good and bad.

use std::process::Output;
use std::time::Duration;

use larder::redis::Redis;
use larder::{Cache, Near};
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::{RedisOptions, RedisServer, free_port, until};
use serde_json::Value;

use crate::node::{larder, refusal, run};

const LIMIT: Duration = Duration::from_secs(20);

/// What a server for a cache should be set to.
const GOOD: [&str; 4] = ["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lfu"];

/// What the doctor said.
struct Report {
    code: i32,
    object: Value,
    text: String,
}

impl Report {
    fn of(url: &str) -> Report {
        Report::read(&run(&["doctor", "--json", "--url", url], &[]))
    }

    fn read(output: &Output) -> Report {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let error = String::from_utf8(output.stderr.clone()).unwrap();
        Report {
            code: output.status.code().unwrap(),
            object: serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}")),
            text,
        }
    }

    fn all(&self) -> &[Value] {
        self.object["findings"].as_array().unwrap()
    }

    /// How bad the first finding of a check is, and what it says.
    fn found(&self, check: &str) -> (&str, &str) {
        let found = self.all().iter().find(|found| found["check"] == check);
        let found = found.unwrap_or_else(|| panic!("{check} in {}", self.text));
        (
            found["level"].as_str().unwrap(),
            found["what"].as_str().unwrap(),
        )
    }

    fn level(&self, check: &str) -> &str {
        self.found(check).0
    }

    /// Claims that it ended so, with these checks that are not well.
    #[track_caller]
    fn says(&self, code: i32, bad: &[&str]) {
        assert_eq!((self.code, &self.bad()[..]), (code, bad), "{}", self.text);
    }

    /// The checks that are neither well nor left out.
    fn bad(&self) -> Vec<&str> {
        let is_bad = |found: &&Value| found["level"] == "warning" || found["level"] == "problem";
        let bad = self.all().iter().filter(is_bad);
        bad.map(|found| found["check"].as_str().unwrap()).collect()
    }
}

fn server(arguments: &[&str]) -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new().args(arguments.iter().copied()))
}

#[test]
fn a_good_server_is_well_and_left_as_it_was() {
    let Some(server) = server(&GOOD) else { return };
    let report = Report::of(&server.url());
    assert_eq!(report.bad(), [""; 0], "{}", report.text);
    assert_eq!((report.code, &report.object["verdict"]), (0, &"ok".into()));
    for check in [
        "address",
        "tls",
        "login",
        "version",
        "mode",
        "role",
        "persistence",
        "eviction",
        "clients",
        "subscribers",
        "scripts",
        "rights",
        "latency",
        "clock",
    ] {
        assert_eq!(report.level(check), "ok", "{check}");
    }
    // Neither its own keys nor the beginning of a log.
    assert_eq!(server.cli(&["DBSIZE"]), "0");
    let people = run(&["doctor", "--url", &server.url()], &[]);
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(text.contains("\n\n14 ok\n"), "{text}");
}

#[test]
fn dumps_eviction_of_any_key_and_endless_buffers_are_warned_about() {
    let arguments = [
        "--save",
        "3600 1",
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--client-output-buffer-limit",
        "pubsub 0 0 0",
    ];
    let Some(server) = server(&arguments) else {
        return;
    };
    let report = Report::of(&server.url());
    assert_eq!(report.bad(), ["persistence", "eviction", "subscribers"]);
    assert_eq!(report.code, 0, "warnings are no failure");
    let found = report.found("persistence");
    assert_eq!(found, ("warning", "dumps are written (save 3600 1)"));
    let bad = report
        .all()
        .iter()
        .filter(|found| found["level"] == "warning");
    for found in bad {
        assert!(!found["why"].as_str().unwrap().is_empty(), "{found}");
        assert!(!found["do"].as_str().unwrap().is_empty(), "{found}");
    }
}

#[test]
fn a_file_of_changes_is_warned_about() {
    let Some(server) = server(&GOOD) else { return };
    assert_eq!(server.cli(&["CONFIG", "SET", "appendonly", "yes"]), "OK");
    let report = Report::of(&server.url());
    report.says(0, &["persistence"]);
}

#[test]
fn a_full_server_that_evicts_nothing_is_a_problem() {
    let Some(server) = server(&["--maxmemory", "5mb"]) else {
        return;
    };
    let is_full = |n| {
        let key = format!("k{n}");
        server
            .cli(&["SETRANGE", &key, "100000", "x"])
            .contains("OOM")
    };
    assert!((0..100).any(is_full));
    let report = Report::of(&server.url());
    assert_eq!(report.level("eviction"), "problem", "{}", report.text);
    assert_eq!(report.code, 1);
    assert_eq!(report.object["verdict"], "problem");
}

#[test]
fn a_user_without_rights_is_told_which_and_what_could_not_be_asked() {
    let rules = "~app:* resetchannels -@all +get +set +ping +info +eval +evalsha";
    let options = RedisOptions::new().user("app", "sesame", rules).args(GOOD);
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    let report = Report::of(&server.url());
    assert_eq!(report.code, 1, "{}", report.text);
    assert_eq!(report.found("login"), ("ok", "logged in as app"));
    assert_eq!(report.level("scripts"), "ok");
    let (level, what) = report.found("rights");
    assert_eq!(level, "problem");
    // Of keys, and of commands.
    assert!(what.contains("GET") && what.contains("HSET"), "{what}");
    let (level, what) = report.found("bus rights");
    assert_eq!(level, "problem");
    assert!(what.contains("PUBLISH SUBSCRIBE XADD"), "{what}");
    for check in ["persistence", "subscribers", "clock"] {
        assert_eq!(report.level(check), "not_checked", "{check}");
    }
    assert!(
        report
            .found("persistence")
            .1
            .contains("CONFIG is not permitted")
    );
    assert!(!report.text.contains("sesame"), "{}", report.text);
}

#[test]
fn a_wrong_password_is_a_problem_and_not_shown() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new().password("right")) else {
        return;
    };
    for (url, said) in [
        (
            format!("redis://:sesame@127.0.0.1:{}", server.port()),
            "WRONGPASS",
        ),
        (format!("redis://127.0.0.1:{}", server.port()), "NOAUTH"),
    ] {
        let report = Report::of(&url);
        report.says(1, &["login"]);
        assert!(report.found("login").1.starts_with(said), "{}", report.text);
        assert!(!report.text.contains("sesame"), "{}", report.text);
    }
}

#[test]
fn certificates_are_judged() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new().tls().args(GOOD)) else {
        return;
    };
    let url = server.tls_url();
    let trusted = format!("{url}?ca_file={}", server.ca_pem_path().display());
    let report = Report::of(&trusted);
    report.says(0, &[]);
    assert!(report.found("tls").1.starts_with("encrypted"));
    let report = Report::of(&format!("{url}#insecure"));
    report.says(0, &["tls"]);
    // Nobody's word for it.
    let report = Report::of(&url);
    report.says(1, &["tls"]);
    // The certificate is for another name.
    let other = trusted.replace("localhost", "127.0.0.2");
    let report = Report::of(&other);
    assert!(
        report.code != 0 && report.bad() != [""; 0],
        "{}",
        report.text
    );
    // TLS where there is none, and none where there is.
    let plain = server.url().replace("redis://", "rediss://");
    let report = Report::of(&plain);
    report.says(5, &["tls"]);
    let crossed = url.replace("rediss://localhost", "redis://127.0.0.1");
    let report = Report::of(&crossed);
    report.says(5, &["connection"]);
}

#[test]
fn a_replica_is_a_problem_and_its_primary_should_know_when_it_is_alone() {
    let Some(primary) = server(&GOOD) else { return };
    let port = primary.port().to_string();
    let replica = ["--replicaof", &format!("127.0.0.1 {port}")];
    let replica = server(&[&GOOD[..], &replica].concat()).unwrap();
    until(LIMIT, "the replication", || {
        primary
            .cli(&["INFO", "replication"])
            .contains("state=online")
    })
    .unwrap();
    let report = Report::of(&replica.url());
    report.says(1, &["role"]);
    assert!(
        report
            .found("role")
            .1
            .ends_with(&format!("127.0.0.1:{port}"))
    );

    let report = Report::of(&primary.url());
    report.says(0, &["replicas"]);
    for setting in ["min-replicas-to-write", "min-replicas-max-lag"] {
        primary.cli(&["CONFIG", "SET", setting, "1"]);
    }
    let report = Report::of(&primary.url());
    report.says(0, &[]);
    drop(replica);
    until(LIMIT, "a primary that is alone", || {
        primary
            .cli(&["INFO", "replication"])
            .contains("connected_slaves:0")
    })
    .unwrap();
    let report = Report::of(&primary.url());
    report.says(1, &["replicas"]);
}

#[test]
fn a_cluster_is_not_supported() {
    let Some(server) = server(&[&GOOD[..], &["--cluster-enabled", "yes"]].concat()) else {
        return;
    };
    let report = Report::of(&server.url());
    assert_eq!(report.level("mode"), "problem", "{}", report.text);
    assert_eq!(report.code, 1);
}

#[test]
fn who_does_not_answer_is_unreachable() {
    let dead = format!("redis://app:sesame@127.0.0.1:{}/0", free_port());
    let report = Report::of(&dead);
    report.says(5, &["address"]);
    assert_eq!(report.object["verdict"], "unreachable");
    assert!(!report.text.contains("sesame"), "{}", report.text);

    let report = Report::of("unix:///nowhere/redis.sock");
    report.says(5, &["address"]);

    let Some(server) = server(&[]) else { return };
    server.stop_signal();
    let report = Report::of(&server.url());
    server.cont_signal();
    report.says(5, &["connection"]);
}

#[test]
fn a_far_server_is_slow_and_one_that_goes_away_in_the_middle_is_unreachable() {
    let Some(server) = server(&GOOD) else { return };
    let proxy = Proxy::to_port(server.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let late = Fault::Latency {
        least: Duration::from_millis(60),
        jitter: Duration::ZERO,
    };
    proxy.set(Traffic::REPLIES, late);
    let report = Report::of(&url);
    report.says(0, &["latency"]);
    proxy.heal();
    let before = proxy.counts().replies.passed;
    assert_eq!(Report::of(&url).code, 0);
    let all = proxy.counts().replies.passed - before;
    // Somewhere among the pings, which come last.
    proxy.set(Traffic::REPLIES, Fault::Limit(all - 500));
    let report = Report::of(&url);
    report.says(5, &["connection"]);
    assert_eq!(report.level("version"), "ok");
}

#[test]
fn the_configuration_is_that_of_a_node() {
    let Some(server) = server(&GOOD) else { return };
    let home = tempfile::tempdir().unwrap();
    let file = format!("type = \"redis\"\nurl = \"{}\"\n", server.url());
    std::fs::write(home.path().join("larder.toml"), file).unwrap();
    let arguments = ["doctor", "--json", "--resp", "127.0.0.1:0"];
    let output = larder(home.path(), &arguments, &[]).output().unwrap();
    assert_eq!(Report::read(&output).code, 0);
    let url = server.url();
    let variables = [("CACHE_TYPE", "redis"), ("REDIS_URL", url.as_str())];
    assert_eq!(
        Report::read(&run(&["doctor", "--json"], &variables)).code,
        0
    );

    let error = refusal(&run(&["doctor"], &[]));
    assert!(error.contains("there is no server to look at"), "{error}");
    let error = refusal(&run(&["doctor", "--url", "http://x"], &[]));
    assert!(error.contains("redis://"), "{error}");
    let error = refusal(&run(&["doctor", "--jsn"], &[]));
    assert_eq!(error, "error: unknown flag --jsn – did you mean --json?");
}

#[test]
fn processes_that_use_the_server_are_not_disturbed() {
    let Some(server) = server(&GOOD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let cache: Cache<u64, u64> = runtime.block_on(async {
        let redis = Redis::open(&server.url()).unwrap();
        let cache = Cache::builder("app:users").ttl("1h");
        let cache = cache.near(Near::bytes("1MiB")).remote(redis);
        cache.build().await.unwrap()
    });
    let _ = runtime.block_on(cache.insert(&1, 10)).unwrap();
    let subscribers = || server.cli(&["PUBSUB", "NUMPAT"]) + &server.cli(&["PUBSUB", "CHANNELS"]);
    until(LIMIT, "the subscription", || {
        subscribers().contains("slog:0")
    })
    .unwrap();
    until(LIMIT, "the log", || cache.stats().bus.flushes == 1).unwrap();
    let keys = server.cli(&["DBSIZE"]);
    let before = cache.stats().bus;
    let pubsub = || server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    let id = |list: String| list.split_whitespace().next().map(str::to_owned);
    let subscription = id(pubsub());

    let report = Report::of(&server.url());
    report.says(0, &[]);
    assert_eq!(server.cli(&["DBSIZE"]), keys);
    assert_eq!(cache.stats().bus, before);
    assert_eq!(id(pubsub()), subscription);
}
